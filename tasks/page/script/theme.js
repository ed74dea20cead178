const THEMES = ["auto", "light", "dark"];

function startTheme() {
  const button = byId("theme");
  const current = () => document.documentElement.dataset.theme || "auto";
  const name = () => { button.querySelector("b").textContent = current(); };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(current()) + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try { localStorage.setItem("campaign-theme", next); } catch { /* it holds until the page is closed */ }
    name();
  });
  name();
  button.hidden = false;
}

