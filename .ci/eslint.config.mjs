/** Rules for reading and for safety; how code is laid out is prettier's part. */
import { fileURLToPath } from 'node:url';
import js from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const root = fileURLToPath(new URL('..', import.meta.url));

const CLOCK = 'Take the time from the clock that is handed in.';
const CHANCE = 'Take chance from what is handed in.';

/** Rooms that the simulator runs under virtual time: they are handed clock and chance. */
const handedTimeAndChance = {
  files: ['src/{model,placement,quota,control}/**/*.ts'],
  rules: {
    'no-restricted-globals': [
      'error',
      { name: 'setTimeout', message: CLOCK },
      { name: 'setInterval', message: CLOCK },
      { name: 'setImmediate', message: CLOCK },
      { name: 'performance', message: CLOCK },
      { name: 'crypto', message: CHANCE },
    ],
    'no-restricted-properties': [
      'error',
      { object: 'Date', property: 'now', message: CLOCK },
      { object: 'Math', property: 'random', message: CHANCE },
    ],
    'no-restricted-syntax': [
      'error',
      { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: CLOCK },
      { selector: 'CallExpression[callee.name="Date"]', message: CLOCK },
      { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
      { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
    ],
    'no-restricted-imports': [
      'error',
      {
        paths: ['node:crypto', 'crypto'].map((name) => ({
          name,
          importNames: ['randomUUID', 'randomBytes', 'randomInt'],
          message: CHANCE,
        })),
        patterns: [{ group: ['node:timers*', 'timers*', 'node:perf_hooks'], message: CLOCK }],
      },
    ],
  },
};

export default tseslint.config(
  // Pages for browsers and the plain-JavaScript starters are outside the compiler's project.
  { ignores: ['**/dist/**', 'src/api/assets/**', 'src/console/**/*.js'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: root } },
    rules: {
      eqeqeq: 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
        { selector: 'ExportDefaultDeclaration', message: 'Export by name.' },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      // An empty variable or text often counts as none; for everything else `??` is meant.
      '@typescript-eslint/prefer-nullish-coalescing': [
        'error',
        { ignorePrimitives: { string: true } },
      ],
      // Refuses what libraries with interfaces for their classes (winston) give.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // `for (;;)` and `while (true)` are how a loop says that it ends by return.
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
    },
  },
  handedTimeAndChance,
  {
    files: ['tests/**/*.ts', 'bench/**/*.ts'],
    rules: {
      // A test states what must be there and fails when it is not.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-empty-function': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: { globals: { console: 'readonly', process: 'readonly', URL: 'readonly' } },
  },
  prettier,
);
