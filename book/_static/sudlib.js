/* Opened from disk, browsers let a page read no neighbour: search then shows titles
   without excerpts, instead of failing to fetch them. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS === "object") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/* The theme brings the sidebar back to where it was on the page before: if this page's
   own entry is then out of sight, it is brought into view. */
window.addEventListener("load", () => {
  const sidebar = document.querySelector(".bd-sidebar-primary");
  const entry = sidebar?.querySelector("li.current.active > a, a.current");
  if (!entry) return;
  const [outer, inner] = [sidebar, entry].map((one) => one.getBoundingClientRect());
  if (inner.top < outer.top || inner.bottom > outer.bottom) {
    sidebar.scrollTop += inner.top - outer.top - outer.height / 3;
  }
});

/* The theme lets the keyboard reach code that scrolls; tables that scroll need it, too. */
window.addEventListener("load", () => {
  for (const output of document.querySelectorAll(".cell_output .text_html")) {
    if (output.scrollWidth > output.clientWidth) output.tabIndex = 0;
  }
});
