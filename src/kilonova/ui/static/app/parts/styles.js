// SPDX-License-Identifier: Apache-2.0
/** Style sheets of libraries, under a Content-Security-Policy that forbids inline styles. */

/** Load a file of styles once. @param {string} href @returns {Promise<void>} */
export function loadStyle(href) {
  const there = [...document.styleSheets].some((sheet) => sheet.href === href);
  if (there) return Promise.resolve();
  return new Promise((done, failed) => {
    const element = Object.assign(document.createElement("link"), { rel: "stylesheet", href });
    element.onload = () => done();
    element.onerror = () => failed(new Error(href));
    document.head.append(element);
  });
}

/**
 * Until the returned function is called, `style` elements and `style` attributes that a library makes are permitted: the
 * text of such an element becomes a style sheet object, and that of such an attribute an object's property.
 */
export function permitStyles() {
  document.createElement = /** @type {typeof document.createElement} */ (create);
  return () => void Reflect.deleteProperty(document, "createElement");
}

/** @param {string} tag @param {ElementCreationOptions} [options] */
function create(tag, options) {
  if (tag === "style") return styleElement();
  const element = Document.prototype.createElement.call(document, tag, options);
  element.setAttribute = (name, value) => {
    if (name === "style") element.style.cssText = value;
    else Element.prototype.setAttribute.call(element, name, value);
  };
  return element;
}

/** In the place of a style element: a template, which shows nothing. */
function styleElement() {
  const element = Document.prototype.createElement.call(document, "template");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    Element.prototype.remove.call(element);
  };
  return element;
}
