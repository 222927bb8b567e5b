/**
 * Why Redis could not be used. `message` is one line for people. unreachable: no answer, or not in time · refused: user
 * or password are wrong, or lack permissions · version: too old, or a server without a required feature · full: no free
 * memory · other-store: its data is lost, or of another store · failed: any other error
 */
export class RedisError extends Error {
  readonly code: 'unreachable' | 'refused' | 'version' | 'full' | 'other-store' | 'failed';

  constructor(code: RedisError['code'], message: string) {
    super(message);
    this.name = 'RedisError';
    this.code = code;
  }
}
