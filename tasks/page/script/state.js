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

function writeAddress(values) {
  const text = Object.entries(values).filter(([, value]) => value)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  // The address changes without a jump, and without a step back for every letter typed.
  history.replaceState(null, "", text ? `#${text}` : location.href.split("#")[0] + "#briefs");
}

