// Before anything is drawn: whether there is script, and the theme that was chosen last.
document.documentElement.classList.add("js");
try {
  const chosen = localStorage.getItem("campaign-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage may be switched off; the system's theme holds */ }
