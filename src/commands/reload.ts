/** The command that has the server replace its workers. */
import { ask } from '../folder-lock.ts';
import { type Call, type Command, type ExitCode, refuse } from './command.ts';

export const RELOAD_HELP =
  '  fieldmouse reload              replaces the workers of the server one by one, as SIGHUP does; nobody is cut off';

export const RELOAD_COMMANDS: Readonly<Record<string, Command>> = { reload: { run: reload } };

async function reload({ config, io }: Call): Promise<ExitCode> {
  try {
    await ask(config.data, 'reload', io.out);
    return 0;
  } catch (error) {
    return refuse(io, (error as Error).message);
  }
}
