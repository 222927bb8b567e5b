// Preloaded into the processes of a server: their system clock is off by the milliseconds in a file, as if it was set.
import { readFileSync } from 'node:fs';

const now = Date.now.bind(Date);
const file = process.env.FIELDMOUSE_TEST_CLOCK;
Date.now = () => now() + Number(readFileSync(file, 'utf8'));
