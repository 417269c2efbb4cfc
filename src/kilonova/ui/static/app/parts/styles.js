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
 * The document for a library that makes `style` elements: the text of such an element becomes a style sheet object,
 * which the policy permits, and the element itself stays empty.
 * @returns {Document}
 */
export const documentWithStyleSheets = () =>
  new Proxy(document, {
    get(target, name) {
      if (name === "createElement") return (/** @type {string} */ tag) => (tag === "style" ? styleElement() : target.createElement(tag));
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

function styleElement() {
  const element = document.createElement("style");
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
  const remove = element.remove.bind(element);
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  element.remove = () => {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    remove();
  };
  return element;
}
