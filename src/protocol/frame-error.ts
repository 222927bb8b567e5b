/** A frame that breaks the protocol. `code` is stable and listed in docs/protocol.md. */
export class FrameError extends Error {
  readonly code: FrameErrorCode;

  constructor(code: FrameErrorCode, detail: string) {
    super(`${code}: ${detail}`);
    this.name = 'FrameError';
    this.code = code;
  }
}

export type FrameErrorCode =
  | 'truncated'
  | 'bad-type'
  | 'bad-number'
  | 'bad-text'
  | 'bad-json'
  | 'too-many-samples'
  | 'too-large';
