"""The words the simulator understands, and what a retoucher would do on hearing them."""

from dataclasses import dataclass

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """Changes to a picture; the defaults change nothing. Strengths are shares, colours sRGB."""

    exposure: float = 0.0  # stops, as a gamma that keeps black and white
    contrast: float = 0.0
    fade: float = 0.0  # how far black is lifted
    saturation: float = 1.0
    hue: float = 0.0  # degrees
    tint_strength: float = 0.0
    shadow_tint: Colour | None = None
    light_tint: Colour | None = None
    vignette: float = 0.0
    wash: Colour | None = None  # a gradient from the light's side
    wash_strength: float = 0.0
    glow: Colour | None = None  # a leak of light from the rim
    glow_strength: float = 0.0
    bloom: float = 0.0  # light that spreads, as through a soft lens
    softness: float = 0.0  # blur of what lies around the subject
    grain: float = 0.0
    particles: str | None = None  # see particles.py
    scene: str | None = None  # see scenes.py
    backdrop: Colour | None = None  # seamless paper behind the subject
    recolour: Colour | None = None  # a new colour for the subject


COLOURS: dict[str, Colour] = {
    "red": (206, 40, 46), "crimson": (176, 22, 52), "scarlet": (220, 46, 30), "burgundy": (122, 22, 46),
    "orange": (240, 130, 32), "apricot": (248, 178, 118), "peach": (250, 190, 150), "coral": (244, 112, 92),
    "terracotta": (198, 98, 66), "amber": (244, 170, 40), "gold": (222, 176, 70), "golden": (232, 178, 76),
    "yellow": (246, 212, 62), "mustard": (214, 164, 40), "lemon": (248, 230, 96), "green": (62, 142, 78),
    "emerald": (18, 134, 96), "olive": (122, 126, 54), "sage": (158, 176, 144), "mint": (158, 222, 190),
    "lime": (166, 212, 62), "teal": (20, 132, 138), "turquoise": (52, 192, 190), "cyan": (60, 200, 228),
    "blue": (44, 98, 204), "navy": (24, 38, 92), "azure": (70, 148, 236), "cobalt": (28, 72, 184),
    "indigo": (62, 48, 148), "purple": (122, 56, 168), "violet": (136, 78, 204), "lavender": (184, 168, 228),
    "lilac": (200, 170, 220), "magenta": (214, 44, 152), "fuchsia": (222, 48, 146), "pink": (244, 152, 184),
    "rose": (226, 120, 142), "blush": (240, 196, 192), "brown": (116, 76, 48), "chocolate": (86, 52, 36),
    "copper": (190, 110, 66), "bronze": (164, 116, 62), "beige": (224, 206, 178), "cream": (244, 234, 212),
    "ivory": (246, 240, 224), "sand": (222, 200, 162), "white": (244, 244, 242), "black": (24, 24, 28),
    "charcoal": (54, 58, 64), "grey": (142, 146, 150), "gray": (142, 146, 150), "silver": (194, 200, 206),
}  # fmt: skip

# What a colour may stand before to mean the surroundings, and what it stands after to mean the subject.
SURROUNDINGS = r"background|backdrop|walls?|seamless|plinth|podium|tabletop|cyclorama|paper"
RECOLOURING = r"make|turn|change|recolou?r|paint|dye|repaint"

_DUSK, _EMBER, _NIGHT, _ICE = (92, 54, 104), (255, 150, 64), (18, 34, 92), (150, 196, 255)

# Patterns are matched as whole words; every row that matches counts, later rows win where only one can.
WORDS: tuple[tuple[str, Look], ...] = (
    (r"warm|warmer|cosy|cozy|amber light|candle(?:light|lit)?|fireplace|autumn(?:al)?|fall colou?rs",
     Look(light_tint=(255, 190, 110), shadow_tint=(120, 60, 30), tint_strength=0.08, glow=(255, 168, 84),
          glow_strength=0.35)),
    (r"cold|cool|cooler|icy|ice|frozen|frosty|arctic",
     Look(light_tint=_ICE, shadow_tint=(30, 60, 120), tint_strength=0.09, saturation=0.85, glow=(170, 210,
          255),
          glow_strength=0.35)),
    (r"sunset|sunrise|golden hour|dusk|dawn|evening sun|evening light",
     Look(exposure=0.05, contrast=0.12, saturation=1.12, light_tint=(255, 176, 92), shadow_tint=_DUSK,
          tint_strength=0.1, wash=_EMBER, wash_strength=0.3, glow=(255, 186, 96), glow_strength=0.65,
          vignette=0.3,
          scene="sunset")),
    (r"morning|daylight|sunny|sunlit|sunlight|sunshine|sun|summer|noon|spring",
     Look(exposure=0.22, contrast=0.06, saturation=1.1, light_tint=(255, 226, 160), tint_strength=0.05,
          glow=(255, 232, 170), glow_strength=0.55, bloom=0.1)),
    (r"night|midnight|moonlight|moonlit|after dark|nocturnal|nighttime",
     Look(exposure=-0.6, contrast=0.1, saturation=0.7, light_tint=(140, 180, 255), shadow_tint=_NIGHT,
          tint_strength=0.13, vignette=0.45, glow=(96, 140, 255), glow_strength=0.4, particles="stars",
          scene="night")),
    (r"black and white|black-and-white|black & white|b&w|monochrome|greyscale|grayscale|noir",
     Look(saturation=0.0, contrast=0.3, vignette=0.35, grain=0.5, glow=(232, 232, 232), glow_strength=0.25)),
    (r"vintage|retro|nostalgic|film|analog(?:ue)?|polaroid|seventies|70s|sepia|old-fashioned",
     Look(saturation=0.68, fade=0.1, contrast=-0.06, light_tint=(255, 218, 150), shadow_tint=(40, 70, 84),
          tint_strength=0.1, vignette=0.35, grain=1.0, glow=(255, 122, 66), glow_strength=0.5)),
    (r"pastel|airy|delicate|spring-like|dreamy|ethereal|fairy[- ]?tale|romantic",
     Look(exposure=0.25, contrast=-0.2, fade=0.07, saturation=0.8, light_tint=(255, 220, 232),
          tint_strength=0.05,
          glow=(255, 206, 226), glow_strength=0.55, bloom=0.35)),
    (r"dramatic|moody|dark|low[- ]key|cinematic|epic|intense|bold|chiaroscuro",
     Look(exposure=-0.25, contrast=0.42, saturation=0.95, shadow_tint=(10, 60, 80), light_tint=(255, 196,
          140),
          tint_strength=0.08, vignette=0.55, glow=(255, 188, 120), glow_strength=0.3)),
    (r"bright|high[- ]key|clean|fresh|crisp|minimal(?:ist)?|light and airy",
     Look(exposure=0.3, contrast=0.05, fade=0.0, glow=(255, 255, 255), glow_strength=0.4)),
    (r"vivid|vibrant|colou?rful|saturated|pop art|playful|energetic|festival",
     Look(saturation=1.4, contrast=0.15, exposure=0.05)),
    (r"luxury|luxurious|premium|elegant|opulent|editorial",
     Look(contrast=0.2, saturation=0.9, exposure=-0.08, light_tint=(255, 214, 150), tint_strength=0.05,
          vignette=0.35,
          glow=(248, 208, 140), glow_strength=0.4)),
    (r"soft(?:er)? light|soft|softly|gentle|diffuse(?:d)?|window light|hazy|haze",
     Look(contrast=-0.1, bloom=0.35, exposure=0.08, glow=(255, 240, 214), glow_strength=0.4)),
    (r"blur|blurred|blurry|shallow depth|depth of field|out of focus|defocus(?:ed)?|portrait mode",
     Look(softness=1.0)),
    (r"bokeh|fairy lights|string lights|lights in the background",
     Look(softness=0.7, exposure=-0.12, particles="bokeh", light_tint=(255, 200, 130), tint_strength=0.05)),
    (r"studio|seamless|white background|plain background|packshot|e-?commerce|catalogu?e|cyclorama",
     Look(exposure=0.1, scene="studio", glow=(255, 255, 255), glow_strength=0.3)),
    (r"marble", Look(exposure=0.1, scene="marble", glow=(255, 255, 255), glow_strength=0.35)),
    (r"wood|wooden|oak|walnut|timber|rustic|table|desk|shelf",
     Look(scene="wood", light_tint=(255, 208, 150), tint_strength=0.05)),
    (r"stone|slate|rock|rocks|concrete|granite|pebbles?|terrace|courtyard|patio",
     Look(scene="stone", contrast=0.1)),
    (r"caf[eé]|coffee shop|kitchen|living room|interior|home|restaurant|breakfast|brunch|bakery",
     Look(scene="interior", light_tint=(255, 216, 160), tint_strength=0.05, bloom=0.1)),
    (r"beach|sea|seaside|ocean|coast|shore|sand dunes?|tropical|island|waves|lagoon|pool|harbou?r",
     Look(exposure=0.12, saturation=1.12, light_tint=(255, 232, 180), shadow_tint=(16, 110, 140),
          tint_strength=0.07,
          wash=(96, 200, 226), wash_strength=0.2, glow=(255, 232, 180), glow_strength=0.5, scene="beach")),
    (r"forest|woodland|woods|jungle|garden|meadow|nature|leaves|foliage|botanical|trees?|moss|grass|ferns?",
     Look(saturation=1.05, light_tint=(226, 248, 160), shadow_tint=(14, 70, 40), tint_strength=0.06,
          wash=(70, 150, 80), wash_strength=0.1, glow=(232, 255, 170), glow_strength=0.5, scene="forest")),
    (r"mountains?|alps|alpine|peaks?|hills?|valley|hiking|outdoors?|landscape|lake",
     Look(light_tint=(214, 230, 255), shadow_tint=(30, 60, 100), tint_strength=0.06, contrast=0.1,
          scene="mountains")),
    (r"desert|dunes|sahara|canyon",
     Look(light_tint=(255, 206, 140), shadow_tint=(130, 60, 40), tint_strength=0.09, exposure=0.1,
          scene="dunes")),
    (r"city|urban|street|skyline|downtown|rooftop|metropol\w+|bar|club",
     Look(contrast=0.15, shadow_tint=(16, 50, 84), light_tint=(255, 190, 120), tint_strength=0.08,
          scene="city")),
    (r"neon|cyberpunk|synthwave|vaporwave|nightclub|futuristic|sci-?fi|laser",
     Look(exposure=-0.35, contrast=0.25, saturation=1.25, shadow_tint=(52, 14, 110), light_tint=(255, 120,
          220),
          tint_strength=0.13, wash=(0, 214, 255), wash_strength=0.3, glow=(255, 44, 180), glow_strength=0.75,
          vignette=0.4, scene="neon")),
    (r"space|galaxy|cosmic|cosmos|stars|starry|astronom\w+|aurora",
     Look(exposure=-0.35, contrast=0.15, shadow_tint=(40, 20, 110), light_tint=(170, 200, 255),
          tint_strength=0.12,
          vignette=0.4, particles="stars", scene="night")),
    (r"underwater|aquatic|deep sea|submerged",
     Look(exposure=-0.1, light_tint=(120, 236, 240), shadow_tint=(0, 60, 120), tint_strength=0.15,
          wash=(20, 160, 200), wash_strength=0.35, particles="bubbles")),
    (r"snow|snowy|snowfall|snowing|winter|wintry|christmas|blizzard|ski",
     Look(exposure=0.12, contrast=0.15, saturation=0.85, light_tint=_ICE, shadow_tint=(40, 70, 130),
          tint_strength=0.06,
          glow=(226, 240, 255), glow_strength=0.5, particles="snow", scene="snow")),
    (r"rain|rainy|raining|drizzle|storm|stormy|wet|monsoon",
     Look(exposure=-0.25, saturation=0.75, contrast=0.1, light_tint=(170, 200, 226), shadow_tint=(24, 44, 70),
          tint_strength=0.1, vignette=0.3, particles="rain")),
    (r"fog|foggy|mist|misty|smoke|smoky|steam|steaming|clouds?",
     Look(contrast=-0.15, saturation=0.85, particles="mist")),
    (r"sparkl\w+|glitter\w*|glow(?:ing)?|magic(?:al)?|festive|celebrat\w+|shimmer\w*|jewel\w*|party|holiday",
     Look(particles="sparkles", contrast=0.08, bloom=0.15)),
    (r"petals|blossoms?|cherry|flowers?|floral|bloom(?:ing)?|wedding",
     Look(particles="petals", light_tint=(255, 214, 226), tint_strength=0.05, glow=(255, 200, 220),
          glow_strength=0.4)),
    (r"autumn(?:al)?|fall leaves|falling leaves|october|harvest",
     Look(particles="leaves", light_tint=(255, 190, 110), tint_strength=0.08)),
)  # fmt: skip

# For prompts without a known word.
READY_LOOKS: tuple[Look, ...] = (
    Look(contrast=0.2, shadow_tint=(0, 92, 110), light_tint=(255, 176, 110), tint_strength=0.12,
         vignette=0.25),
    Look(exposure=0.2, fade=0.06, saturation=0.85, light_tint=(255, 214, 196), tint_strength=0.09,
         bloom=0.25),
    Look(contrast=0.25, saturation=1.2, shadow_tint=(60, 20, 110), light_tint=(255, 210, 120),
         tint_strength=0.1),
    Look(saturation=0.75, fade=0.08, shadow_tint=(20, 60, 60), light_tint=(240, 236, 190), tint_strength=0.12,
         grain=0.6, vignette=0.3),
    Look(contrast=0.15, wash=(120, 92, 230), wash_strength=0.28, shadow_tint=(30, 40, 140),
         light_tint=(210, 220, 255), tint_strength=0.1),
    Look(exposure=0.1, wash=(255, 120, 96), wash_strength=0.26, light_tint=(255, 190, 170),
         tint_strength=0.08),
    Look(contrast=0.3, saturation=0.55, shadow_tint=(20, 34, 54), light_tint=(226, 232, 240),
         tint_strength=0.08,
         vignette=0.45),
    Look(saturation=1.15, wash=(40, 190, 160), wash_strength=0.24, shadow_tint=(0, 70, 80),
         light_tint=(226, 255, 226), tint_strength=0.08, bloom=0.15),
    Look(exposure=-0.1, contrast=0.2, wash=(255, 178, 40), wash_strength=0.28, shadow_tint=(80, 30, 40),
         light_tint=(255, 216, 130), tint_strength=0.1, vignette=0.3),
    Look(exposure=0.15, saturation=1.05, wash=(255, 130, 190), wash_strength=0.24, shadow_tint=(70, 50, 130),
         light_tint=(255, 220, 236), tint_strength=0.09, bloom=0.2),
)  # fmt: skip
