/**
 * Why Redis could not be used. `message` is one line for people.
 * unreachable: nobody answers there, or not in time · refused: the password or the user is wrong, or may not do that · version: too old,
 * or a server that lacks what is needed · full: it has no room for more · other-store: its data are gone, or another store's · failed: it says something else
 */
export class RedisError extends Error {
  readonly code: 'unreachable' | 'refused' | 'version' | 'full' | 'other-store' | 'failed';

  constructor(code: RedisError['code'], message: string) {
    super(message);
    this.name = 'RedisError';
    this.code = code;
  }
}
