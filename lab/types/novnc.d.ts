// SPDX-License-Identifier: Apache-2.0
// What the page uses of noVNC, which has no declarations of its own.  Source: noVNC's docs/API.md.
export default class RFB extends EventTarget {
  constructor(target: HTMLElement, channel: WebSocket, options?: { shared?: boolean });
  viewOnly: boolean;
  scaleViewport: boolean;
  focusOnClick: boolean;
  background: string;
  disconnect(): void;
  focus(): void;
  sendCtrlAltDel(): void;
  sendKey(keysym: number, code: string | null, down?: boolean): void;
  clipboardPasteFrom(text: string): void;
}
