/* Opened from disk, browsers let a page read no neighbour: search then shows titles
   without excerpts, instead of failing to fetch them. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS === "object") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
