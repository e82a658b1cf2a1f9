"use strict";
// All of the page can be read without this; it only enlarges pictures. In each section one picture
// is reached by Tab, the others by the arrow keys.
{
  const dialog = document.createElement("dialog");
  const words = document.createElement("p");
  const buttons = document.createElement("div");
  const large = document.createElement("figure");
  let current = null;

  const picture = (event) => event.target.closest("[role=button].picture");

  const step = (by) => {
    const row = [...current.closest("section").querySelectorAll("[role=button].picture")];
    const next = row[row.indexOf(current) + by];
    if (next) choose(next);
  };

  const choose = (next) => {
    current.tabIndex = -1;
    current = next;
    current.tabIndex = 0;
    if (dialog.open) show();
    else current.focus();
  };

  const show = () => {
    const copy = current.cloneNode(true);
    copy.removeAttribute("role");
    copy.removeAttribute("tabindex");
    large.replaceChildren(copy);
    words.textContent = current.querySelector("title").textContent;
  };

  const open = (chosen) => {
    current = chosen;
    show();
    dialog.showModal();
  };

  const button = (label, spoken, action) => {
    const made = document.createElement("button");
    made.textContent = label;
    made.setAttribute("aria-label", spoken);
    made.addEventListener("click", action);
    buttons.append(made);
  };
  button("←", "Previous picture", () => step(-1));
  button("→", "Next picture", () => step(1));
  button("Close", "Close", () => dialog.close());

  words.setAttribute("aria-live", "polite");
  dialog.setAttribute("aria-label", "Enlarged picture");
  dialog.append(large, words, buttons);
  dialog.addEventListener("close", () => current.focus());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);

  for (const section of document.querySelectorAll("section")) {
    section.querySelectorAll(".picture").forEach((one, index) => {
      one.setAttribute("role", "button");
      one.tabIndex = index ? -1 : 0;
    });
  }
  document.addEventListener("click", (event) => picture(event) && open(picture(event)));
  document.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (dialog.open) {
      if (by) step(by);
    } else if (picture(event)) {
      if (by) {
        current = picture(event);
        step(by);
      } else if (event.key === "Enter" || event.key === " ") {
        open(picture(event));
      } else {
        return;
      }
      event.preventDefault();
    }
  });

  const hint = document.createElement("p");
  hint.className = "hint";
  hint.textContent = "Choose a picture to enlarge it and see its name.";
  if (document.querySelector("section .picture")) document.querySelector("nav").append(hint);
}
