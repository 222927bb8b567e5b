// Preloaded into the processes of a server: their wall clock is off by the milliseconds in a file, as if it had been set.
import { readFileSync } from 'node:fs';

const now = Date.now.bind(Date);
const file = process.env.FIELDMOUSE_TEST_CLOCK;
Date.now = () => now() + Number(readFileSync(file, 'utf8'));
