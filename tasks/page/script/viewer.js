// A closer look at the pictures of one brief, one after the other, and before and after laid over each other.
const viewer = byId("viewer");
let seen = [];
let at = 0;

// The links around a brief's pictures, those that went in first. A clip plays where it stands; here it is a still.
function picturesOf(card) {
  return [...card.querySelectorAll(".frame a, .refs a")].filter((link) => link.querySelector("img"));
}

function beforesOf(link) {
  const step = link.closest(".path > .at");
  if (!step) return [];
  const named = [...step.querySelectorAll(".refs a")];
  return named.length ? named : [...step.closest(".path").querySelectorAll(".from .frame a")];
}

const stillOf = (link) => (link.matches(".clip") ? link.dataset.still ?? link.querySelector("img").src : link.href);

function showPicture() {
  const link = seen[at];
  const small = link.querySelector("img");
  byId("viewer-title").textContent = small.alt;
  byId("viewer-after").src = stillOf(link);
  byId("viewer-after").alt = small.alt;
  byId("viewer-open").href = link.href;
  // A copy that says in its metadata that it was made by a model.
  const place = link.getAttribute("href");
  byId("viewer-marked").hidden = !("markedCopies" in document.body.dataset && place.startsWith("assets/"));
  byId("viewer-marked").href = place.replace(/^assets/, "export");
  const befores = beforesOf(link).filter((other) => other.querySelector("img"));
  const select = byId("viewer-select");
  select.replaceChildren(...befores.map((other, place) => element("option", {
    value: place, textContent: other.querySelector("img").alt,
  })));
  byId("viewer-with").hidden = befores.length < 2 || !comparing();
  byId("viewer-compare").disabled = befores.length === 0;
  byId("viewer-graph").hidden = !link.closest(".at") || link.closest(".refs") !== null;
  byId("viewer-previous").disabled = at === 0;
  byId("viewer-next").disabled = at === seen.length - 1;
  if (befores.length === 0 && comparing()) compare(false);
  else if (comparing()) showBefore();
}

const comparing = () => byId("viewer-compare").getAttribute("aria-pressed") === "true";

function compare(on) {
  byId("viewer-compare").setAttribute("aria-pressed", String(on));
  for (const id of ["viewer-before", "viewer-cut", "viewer-range"]) byId(id).hidden = !on;
  byId("viewer-box").classList.toggle("both", on);
  byId("viewer-with").hidden = !on || byId("viewer-select").options.length < 2;
  fit();
  if (on) {
    showBefore();
    cut(50);
    byId("viewer-range").focus();
  }
}

function showBefore() {
  const before = beforesOf(seen[at]).filter((other) => other.querySelector("img"))[byId("viewer-select").value || 0];
  byId("viewer-before").src = before.href;
  byId("viewer-before").alt = `Before: ${before.querySelector("img").alt}`;
}

// Both pictures take the place of the later one, so that they lie exactly over each other.
function fit() {
  const [stage, box, after] = [byId("viewer-stage"), byId("viewer-box"), byId("viewer-after")];
  box.style.removeProperty("width");
  box.style.removeProperty("height");
  if (!box.classList.contains("both") || !after.naturalWidth) return;
  const scale = Math.min(stage.clientWidth / after.naturalWidth, stage.clientHeight / after.naturalHeight);
  box.style.width = `${after.naturalWidth * scale}px`;
  box.style.height = `${after.naturalHeight * scale}px`;
}

function cut(percent) {
  byId("viewer-range").value = percent;
  byId("viewer-box").style.setProperty("--cut", `${percent}%`);
}

function look(link, both) {
  seen = picturesOf(link.closest(".brief"));
  at = seen.indexOf(link);
  if (at < 0) return;
  compare(false);
  viewer.showModal();
  showPicture();
  if (both && !byId("viewer-compare").disabled) compare(true);
}

function step(by) {
  const next = at + by;
  if (next < 0 || next >= seen.length) return;
  at = next;
  showPicture();
}

function play(link) {
  const still = link.dataset.still ?? link.querySelector("img")?.src ?? "";
  const clip = element("video", { src: link.href, poster: still, controls: true, autoplay: true, playsInline: true });
  clip.setAttribute("aria-label", link.querySelector("img")?.alt ?? link.textContent);
  link.replaceWith(clip);
  clip.focus();
}

// Each step with a picture and something that it was made of gets a way to lay them over each other.
function offerComparison() {
  for (const step of list.querySelectorAll(".path > .at")) {
    const made = step.querySelector(":scope > .frame a img");
    if (!made || !(step.querySelector(".refs img") ?? step.parentElement.querySelector(".from .frame img"))) continue;
    const offered = element("button", { type: "button", className: "cmp", textContent: "compare" });
    // There is one for each stage of each brief: the name of its picture tells them apart.
    offered.setAttribute("aria-label", `compare ${made.alt} with what it was made from`);
    step.querySelector("h4").append(offered);
  }
}

function startViewer() {
  offerComparison();
  list.addEventListener("click", (event) => {
    if (event.target.matches(".cmp")) {
      const picture = event.target.closest(".at").querySelector(".frame a");
      if (picture) look(picture, true);
      return;
    }
    const link = event.target.closest(".frame a, .refs a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (link.matches(".clip")) {
      event.preventDefault();
      play(link);
    } else if (link.querySelector("img")) {
      event.preventDefault();
      look(link);
    }
  });
  byId("viewer-close").addEventListener("click", () => viewer.close());
  byId("viewer-previous").addEventListener("click", () => step(-1));
  byId("viewer-next").addEventListener("click", () => step(1));
  byId("viewer-compare").addEventListener("click", () => compare(!comparing()));
  byId("viewer-select").addEventListener("change", showBefore);
  byId("viewer-range").addEventListener("input", (event) => cut(event.target.value));
  byId("viewer-after").addEventListener("load", fit);
  byId("viewer-graph").addEventListener("click", () => {
    const place = decodeURI(seen[at].getAttribute("href"));
    seen = []; // nobody goes back to the picture
    viewer.close();
    showGraph(place);
  });
  addEventListener("resize", () => { if (viewer.open) fit(); });
  viewer.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select")) return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", () => { byId("viewer-after").removeAttribute("src"); seen[at]?.focus(); });
}

