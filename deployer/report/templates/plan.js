
"use strict";
(() => {
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const groups = [...document.querySelectorAll(".group")];
  const parts = [...document.querySelectorAll("section.part")].filter((part) => part.querySelector(".group"));
  const filters = ["action", "kind", "label", "drift"].map(byId).filter(Boolean);
  const search = byId("search");
  const texts = new Map();
  root.classList.add("js");

  const text = (group) => {
    if (!texts.has(group)) texts.set(group, group.textContent.toLowerCase());
    return texts.get(group);
  };
  const matches = {
    action: (group, wanted) => group.dataset.action === wanted,
    kind: (group, wanted) => group.dataset.kind === wanted,
    label: (group, wanted) => group.dataset.labels.split(" ").includes(wanted),
    drift: (group, wanted) => group.dataset.drift === wanted,
  };
  const number = (some) => some.reduce((sum, group) => sum + Number(group.dataset.number), 0);

  const show = () => {
    const words = search ? search.value.toLowerCase().split(/\s+/).filter(Boolean) : [];
    const active = filters.filter((filter) => filter.value);
    const shown = groups.filter((group) => {
      const fits =
        active.every((filter) => matches[filter.id](group, filter.value)) &&
        words.every((word) => text(group).includes(word));
      group.hidden = !fits;
      return fits;
    });
    for (const part of parts) part.hidden = !part.querySelector(".group:not([hidden])");
    const status = byId("shown");
    if (status) {
      const all = number(groups);
      const jobs = `${all} ${all === 1 ? "job" : "jobs"}`;
      status.textContent = shown.length === groups.length ? jobs : `${number(shown)} of ${jobs}`;
    }
    byId("nothing").hidden = shown.length > 0 || groups.length === 0;
  };

  let timer = 0;
  if (search) {
    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(show, 120);
    });
  }
  for (const filter of filters) filter.addEventListener("change", show);

  const foldAll = (open) => {
    for (const group of groups) if (!group.hidden) group.open = open;
  };
  const sides = () => {
    if (!byId("sides")) return;
    const pressed = document.body.classList.toggle("sides");
    byId("sides").setAttribute("aria-pressed", String(pressed));
  };
  const theme = () => {
    const isDark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
  };
  const step = (by) => {
    const shown = groups.filter((group) => !group.hidden).map((group) => group.querySelector("summary"));
    if (!shown.length) return;
    const at = shown.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.min(Math.max(at + by, 0), shown.length - 1);
    shown[next].focus();
    shown[next].scrollIntoView({ block: "nearest" });
  };
  const clear = () => {
    if (search) search.value = "";
    for (const filter of filters) filter.value = "";
    show();
  };

  const keys = {
    "/": () => search.focus(),
    j: () => step(1),
    k: () => step(-1),
    e: () => foldAll(true),
    c: () => foldAll(false),
    s: sides,
    t: theme,
    Escape: clear,
  };
  if (search) {
    byId("unfold").addEventListener("click", keys.e);
    byId("fold").addEventListener("click", keys.c);
    byId("sides")?.addEventListener("click", sides);
    byId("theme").addEventListener("click", theme);
    document.addEventListener("keydown", (event) => {
      const inField = ["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName);
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
      if (inField && event.key !== "Escape") return;
      event.preventDefault();
      if (inField) event.target.blur();
      keys[event.key]();
    });
  }

  const folded = new Set();
  addEventListener("beforeprint", () => {
    for (const group of groups) {
      if (!group.open && !group.hidden) {
        folded.add(group);
        group.open = true;
      }
    }
  });
  addEventListener("afterprint", () => {
    for (const group of folded) group.open = false;
    folded.clear();
  });
  show();
})();
