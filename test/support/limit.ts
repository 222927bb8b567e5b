/** No wait of a test is longer, milliseconds: what takes a moment on a free machine may take a minute on a busy one. */
export const LIMIT_MS = 60_000;
