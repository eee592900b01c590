import { testNote } from './support/note.mjs';

testNote('orijs'); // the original is not on npm
