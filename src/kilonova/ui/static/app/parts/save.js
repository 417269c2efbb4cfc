// SPDX-License-Identifier: Apache-2.0
/** Saving data among the downloads of the browser. */

/** @param {string} name of the file @param {Blob} data */
export function save(name, data) {
  const anchor = document.createElement("a");
  anchor.href = URL.createObjectURL(data);
  anchor.download = name;
  anchor.click();
  URL.revokeObjectURL(anchor.href);
}
