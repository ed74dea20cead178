const list = byId("list");
const briefs = [...list.children].map((card, place) => ({ card, place, text: null }));
const STATUS_ORDER = { failed: 0, held: 1, done: 2 };
const ORDERS = {
  name: (a, b) => a.card.id.localeCompare(b.card.id, undefined, { numeric: true }),
  charged: (a, b) => b.card.dataset.charged - a.card.dataset.charged,
  seconds: (a, b) => b.card.dataset.seconds - a.card.dataset.seconds,
  status: (a, b) => STATUS_ORDER[a.card.dataset.status] - STATUS_ORDER[b.card.dataset.status],
};
let order = "";

const field = (name) => byId(name === "q" ? "q" : `f-${name}`);
const wanted = () => Object.fromEntries(FILTERS.map((name) => [name, field(name).value.trim()]));
const textOf = (brief) => (brief.text ??= brief.card.textContent.toLowerCase());

function showBriefs(values) {
  const words = values.q.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const brief of briefs) {
    const { status, stage, outcome } = brief.card.dataset;
    const fits = (!values.status || status === values.status)
      // A stage and an outcome together mean that this stage ended so.
      && stageFits(stage.split(" "), outcome.split(" "), values)
      && words.every((word) => textOf(brief).includes(word));
    brief.card.hidden = !fits;
    found += fits;
  }
  if (values.sort !== order) {
    order = values.sort;
    const sorted = [...briefs].sort((a, b) => (ORDERS[order]?.(a, b) || 0) || a.place - b.place);
    list.append(...sorted.map((brief) => brief.card));
  }
  const all = briefs.length;
  byId("found").textContent = found === all ? `${all} brief${all === 1 ? "" : "s"}` : `${found} of ${all} briefs`;
  byId("nothing").hidden = found > 0 || all === 0;
  byId("clear").hidden = !FILTERS.some((name) => values[name]);
}

function stageFits(stages, outcomes, values) {
  if (!values.stage && !values.outcome) return true;
  return stages.some((stage, place) => (!values.stage || stage === values.stage)
    && (!values.outcome || outcomes[place] === values.outcome));
}

function changed() {
  const values = wanted();
  showBriefs(values);
  writeAddress(values);
}

// A filter that an address asks for may fit nothing here, and is no choice of the list then: it says so all the same.
function setField(name, value) {
  const chosen = field(name);
  chosen.value = value;
  if (name === "q" || name === "sort" || chosen.value === value) return;
  chosen.append(element("option", { value, textContent: `${value} (0)` }));
  chosen.value = value;
}

// Follow the address: filters first, then the brief that it names, shown even where a filter would hide it.
function follow() {
  const address = readAddress();
  const brief = address.get("brief");
  if (FILTERS.some((name) => address.has(name)) || brief !== null) {
    for (const name of FILTERS) setField(name, address.get(name) ?? "");
    showBriefs(wanted());
  }
  for (const card of document.querySelectorAll(".is-here")) card.classList.remove("is-here");
  if (brief !== null) {
    const card = byId(`brief=${brief}`);
    if (!card) return;
    card.hidden = false;
    card.classList.add("is-here");
    leadTo(card);
    card.querySelector("h3 a").focus({ preventScroll: true });
  } else if (FILTERS.some((name) => address.has(name))) {
    leadTo(byId("briefs"));
  } else if (location.hash) {
    const section = byId(location.hash.slice(1));
    if (section) leadTo(section);
  }
}

function clearFilters() {
  for (const name of FILTERS) field(name).value = "";
  changed();
  byId("q").focus({ preventScroll: true });
}

function startBriefs() {
  const form = byId("filter");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  // Some browsers tell of a choice in a list as a change only.
  for (const kind of ["input", "change"]) form.addEventListener(kind, changed);
  byId("clear").addEventListener("click", clearFilters);
  byId("clear-too").addEventListener("click", clearFilters);
  document.addEventListener("click", (event) => {
    const bar = event.target.closest?.("svg [data-brief]");
    if (bar) location.hash = `brief=${bar.dataset.brief}`;
    // The address that is there already changes nothing, and leads there again.
    const link = event.target.closest?.('a[href^="#"]');
    if (link && link.hash === location.hash) setTimeout(follow);
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, select, textarea");
    if (event.key === "/" && !typing && !byId("viewer").open) {
      event.preventDefault();
      byId("q").focus();
    }
  });
  addEventListener("hashchange", follow);
  follow();
}

