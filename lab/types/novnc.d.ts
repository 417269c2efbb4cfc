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
  // Its own: the lamp as QEMU reports it (RFB: QEMU LED State).  The test of a long paste fails when it is gone.
  _remoteCapsLock: boolean | null;
  clipboardPasteFrom(text: string): void;
}
