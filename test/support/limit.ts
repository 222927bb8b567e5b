/** Maximum wait of a test, milliseconds: what takes a moment on an idle machine may take a minute on a busy one. */
export const LIMIT_MS = 60_000;
