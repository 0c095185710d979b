"""What a browser says of the colours of a page."""

from __future__ import annotations

# Every run of text with the colours that it is drawn in, by what is computed.
CONTRASTS = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((x) => x / 255)
      .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return null;
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = Array.from(element.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element.closest("script, option, noscript")) continue;
    const ground = behind(element) || [255, 255, 255];
    const pair = [numbers(getComputedStyle(element).color), ground].map(luminance);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    const key = `${element.tagName}.${element.className} in ${element.parentElement.tagName}`;
    found[key] = Math.min(found[key] ?? 99, ratio);
  }
  return found;
}"""
