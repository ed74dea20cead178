// What is looked at stands in the address, after "#": a link to it shows the same again.
const byId = (id) => document.getElementById(id);
const element = (name, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const FILTERS = ["q", "status", "stage", "outcome", "sort"];

function readAddress() {
  const text = location.hash.slice(1);
  return text.includes("=") ? new URLSearchParams(text.replaceAll("+", "%2B")) : new URLSearchParams();
}

const SETTLED_FRAMES = 5;
const MOST_FRAMES = 60;
let led = null;

// Bring it right below the bar, at once. Briefs on the way get their height only when they come near the screen, so
// it is looked at again until it stays, or until somebody scrolls on.
function leadTo(target) {
  const mine = led = { target };
  let still = 0;
  let left = MOST_FRAMES;
  let before = null;
  const look = () => {
    if (led !== mine) return;
    target.scrollIntoView({ block: "start", behavior: "instant" });
    const { top } = target.getBoundingClientRect();
    still = before !== null && Math.abs(top - before) < 1 ? still + 1 : 0;
    before = top;
    left -= 1;
    if (still < SETTLED_FRAMES && left > 0) requestAnimationFrame(look);
    else led = null;
  };
  look();
}

function startLeading() {
  const bar = document.querySelector(".top");
  const measure = () => document.documentElement.style.setProperty("--bar", `${bar.getBoundingClientRect().height}px`);
  new ResizeObserver(measure).observe(bar);
  measure();
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    addEventListener(kind, () => { led = null; }, { capture: true, passive: true });
  }
}

function writeAddress(values) {
  const text = Object.entries(values).filter(([, value]) => value)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  // The address changes without a jump, and without a step back for every letter typed.
  history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0] + "#briefs");
}

