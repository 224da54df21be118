"use strict";
// A button that copies each command, and everything open on paper. The page is whole without either.
for (const pre of document.querySelectorAll("pre.command")) {
  const text = pre.textContent;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "copy";
  button.setAttribute("aria-label", "copy: " + text);
  button.addEventListener("click", async () => {
    let copied = false;
    try {
      await navigator.clipboard.writeText(text);
      copied = true;
    } catch {
      const range = document.createRange();
      range.selectNodeContents(pre.querySelector("code"));
      const selection = getSelection();
      selection.removeAllRanges();
      selection.addRange(range);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "copied" : "select";
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
  pre.prepend(button);
}
const closed = new Set();
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open]):not(.diagram *)")) {
    closed.add(part);
    part.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const part of closed) part.open = false;
  closed.clear();
});
