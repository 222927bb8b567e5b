/** What administrators sign in with, as the store keeps it and the dashboard lists it. Times are Unix ms. */
import type { Rights } from './rights.ts';

export interface Session {
  /** Names the session; cannot be turned back into what the cookie holds. */
  id: string;
  /** Of the administrator. */
  name: string;
  created: number;
  /** To within some minutes. */
  lastSeen: number;
  expires: number;
  /** The browser, in a few words. */
  agent: string;
}

/** An API token for programs. */
export interface Token extends Rights {
  id: string;
  /** What it is for. */
  name: string;
  created: number;
  /** To within some minutes; null: never used. */
  lastUsed: number | null;
}

/**
 * Names of administrators: up to 64 letters of any script (with the marks and joiners that some need), digits, single
 * spaces and `. _ - @ '`, so that they are safe in tables, logs and addresses.
 */
export const ADMIN_NAME = /^(?=.{1,64}$)[\p{L}\p{N}](?: ?(?:[\p{L}\p{M}\p{N}._@'’-]|\u200c|\u200d))*$/u;
