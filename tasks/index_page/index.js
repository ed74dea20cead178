function byId(id) { return document.getElementById(id); }

function filterRuns() {
  const words = byId("q").value.toLowerCase().split(/\s+/).filter(Boolean);
  const troubled = byId("troubled").checked;
  let shown = 0;
  for (const row of document.querySelectorAll(".runs tbody tr")) {
    const text = row.dataset.text;
    row.hidden = (troubled && row.dataset.troubled === "0") || !words.every((word) => text.includes(word));
    if (!row.hidden) shown += 1;
  }
  const all = document.querySelectorAll(".runs tbody tr").length;
  byId("found").textContent = shown === all ? "" : `${shown} of ${all} runs`;
}

startTheme();
byId("filter").hidden = false;
byId("q").addEventListener("input", filterRuns);
byId("troubled").addEventListener("change", filterRuns);
// What the browser kept of the fields from before holds again.
filterRuns();
