// What the theme leaves out for those who listen to a page or use the keyboard.
function mend() {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-code__nav").forEach((part, number) => {
    part.setAttribute("aria-label", `Code ${number + 1}`);
  });
  document.querySelectorAll(".md-typeset__scrollwrap, pre[style*=overflow]").forEach((part) => {
    part.tabIndex = 0;
  });
}
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
