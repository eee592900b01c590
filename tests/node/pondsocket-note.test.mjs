import { testNote } from './support/note.mjs';

testNote('pondsocket'); // what is on npm has no distributed part
