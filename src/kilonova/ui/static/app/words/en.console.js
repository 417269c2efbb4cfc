// SPDX-License-Identifier: Apache-2.0
/** English words of the consoles, beyond those of the page of a server. */

export const consoles = {
  "paste.layout": "Keyboard layout of the guest",
  "paste.layout.hint": "The page types the text key by key, so the guest must have this layout.",
  "paste.missing": "This layout has no keys for: {characters}",
  "paste.progress": "Typing",
  "paste.rest": "{done} of {all} characters, {time} left",
  "paste.unread": "The guest has not read its keyboard for 30 seconds, so the page stopped typing.",
  "paste.lost": "The connection ended after {count} characters. The text is here again when you open the dialog anew.",

  "layout.be": "Belgian",
  "layout.br": "Portuguese (Brazil)",
  "layout.ch": "Swiss German",
  "layout.ch-fr": "Swiss French",
  "layout.cz": "Czech",
  "layout.de": "German",
  "layout.dk": "Danish",
  "layout.es": "Spanish",
  "layout.fr": "French",
  "layout.gb": "English (UK)",
  "layout.it": "Italian",
  "layout.no": "Norwegian",
  "layout.pl": "Polish",
  "layout.pt": "Portuguese",
  "layout.se": "Swedish",
  "layout.us": "English (US)",
};
