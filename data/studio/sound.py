"""The clip's sound: a warm pad, a few felt-piano notes, the hush of a room, a cup set down."""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
RATE = 48_000


def _note(number: float) -> float:
    """The frequency in hertz of a MIDI note number."""
    return float(440.0 * 2 ** ((number - 69) / 12))


def _pad(time: Samples, start: float, end: float, notes: list[int], rng: np.random.Generator) -> Samples:
    """A chord in both channels, shape (2, N): slow swell, slightly detuned voices."""
    shape = np.clip((time - start) / 1.1, 0, 1) * np.clip((end - time) / 1.3, 0, 1)
    shape = shape * shape * (3 - 2 * shape)
    sound = np.zeros((2, time.size))
    for number in notes:
        for _ in range(3):
            pitch = _note(number) * (1 + rng.normal(0, 0.0012))
            side = rng.uniform(0.25, 0.75)
            phase = rng.uniform(0, 2 * np.pi)
            breath = 1 + 0.15 * np.sin(2 * np.pi * rng.uniform(0.1, 0.35) * time + phase)
            voice = sum(
                np.sin(2 * np.pi * pitch * k * time + phase * k) * 0.34 ** (k - 1) * np.exp(-pitch * k / 1500)
                for k in (1, 2, 3)
            )
            sound += np.array([[1 - side], [side]]) * voice * breath * shape
    return sound


def _felt(time: Samples, start: float, number: int, loudness: float, side: float) -> Samples:
    """One soft piano note."""
    t = np.maximum(time - start, 0)
    pitch = _note(number)
    voice = np.zeros_like(time)
    for k in range(1, 7):
        partial = pitch * k * np.sqrt(1 + 0.0004 * k * k)
        voice += np.sin(2 * np.pi * partial * t) * np.exp(-t * (1.3 + 0.9 * k)) * 0.42 ** (k - 1)
    voice *= np.clip(t / 0.012, 0, 1) * (time >= start) * loudness
    return np.array([[1 - side], [side]]) * voice


def _clink(time: Samples, start: float, loudness: float, side: float) -> Samples:
    """Stoneware touching stoneware: a few inharmonic modes that die quickly, over a small dull thud."""
    t = np.maximum(time - start, 0)
    modes = ((1870, 38, 1.0), (3020, 52, 0.6), (4410, 70, 0.35), (6130, 95, 0.18), (240, 60, 1.2))
    voice = sum(np.sin(2 * np.pi * pitch * t) * np.exp(-t * decay) * part for pitch, decay, part in modes)
    voice = voice * np.clip(t / 0.0012, 0, 1) * (time >= start) * loudness
    result: Samples = np.array([[1 - side], [side]]) * voice
    return result


def _coloured(noise: Samples, low: float, high: float) -> Samples:
    """Noise limited softly to a band, in hertz."""
    spectrum = np.fft.rfft(noise)
    pitch = np.fft.rfftfreq(noise.shape[-1], 1 / RATE)
    shape = 1 / (1 + (pitch / high) ** 4) * (pitch / low) ** 2 / (1 + (pitch / low) ** 2)
    return np.fft.irfft(spectrum * shape, noise.shape[-1])


def _in_room(sound: Samples, rng: np.random.Generator) -> Samples:
    """The sound with the echo of a small, soft room."""
    tail = int(RATE * 1.6)
    fade = np.exp(-np.arange(tail) / RATE * 4.2)
    echo = _coloured(rng.normal(0, 1, (2, tail)), 180, 3800) * fade
    echo /= np.sqrt((echo**2).sum(axis=1, keepdims=True))
    size = sound.shape[1] + tail
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(echo, size), size)[:, : sound.shape[1]]
    return np.asarray(sound + 0.55 * wet)


def slow_morning(seconds: float, seed: int = 11) -> NDArray[np.float32]:
    """The piece: stereo, shape (2, N), peak 0.7, at ``RATE`` samples a second."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    middle = seconds / 2
    music = 0.055 * _pad(time, -0.6, middle + 1.0, [50, 57, 61, 64, 66], rng)
    music += 0.055 * _pad(time, middle - 0.7, seconds + 0.9, [43, 55, 59, 62, 66], rng)
    tune = (
        (0.35, 78, 0.13),
        (0.95, 76, 0.10),
        (1.55, 73, 0.12),
        (2.75, 74, 0.13),
        (3.35, 71, 0.10),
        (3.95, 69, 0.11),
    )
    for count, (start, number, loudness) in enumerate(tune):
        music += _felt(time, start, number, loudness, 0.35 + 0.3 * (count % 2))
    music += _clink(time, 0.62, 0.050, 0.7) + _clink(time, 3.72, 0.032, 0.3) + _clink(time, 3.80, 0.020, 0.32)
    room = _coloured(rng.normal(0, 1, (2, time.size)), 150, 900)
    sound = _in_room(music, rng) + 0.012 * room / room.std()
    sound *= np.clip(time / 0.25, 0, 1) * np.clip((seconds - time) / 0.7, 0, 1)
    result: NDArray[np.float32] = (sound / np.abs(sound).max() * 0.7).astype(np.float32)
    return result
