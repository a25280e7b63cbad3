import tseslint from 'typescript-eslint'

const noAssertions = {
  selector: 'TSAsExpression:not(:has(> TSTypeReference > Identifier[name="const"]))',
  message: 'Assert types only in src/format and src/kernels; elsewhere check or narrow.'
}

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'build/',
      'demo/',
      'examples/website/site/',
      'node_modules/',
      'bench/node_modules/',
      'test/mmap-io/',
      'test/node-24/',
      'src/kernels/assembly/',
      'src/kernels/wasm-bytes.ts'
    ]
  },
  ...tseslint.configs.strict,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': [
        'error',
        { ignoreRestSiblings: true, argsIgnorePattern: '^_', varsIgnorePattern: '^_' }
      ],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'no-restricted-syntax': ['error', { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' }],
      'max-params': ['error', 3]
    }
  },
  {
    files: ['src/**/*.ts', 'tools/**/*.ts'],
    ignores: ['src/format/**', 'src/kernels/**'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: 'TSEnumDeclaration', message: 'Use a union of literals.' },
        noAssertions
      ],
      'max-lines': ['error', 400]
    }
  },
  // Kernels take plain numbers: an object a call would cost more than the arithmetic of a small run.
  { files: ['src/kernels/**/*.ts'], rules: { 'max-params': 'off' } },
  { files: ['src/**/*.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'max-params': 'off' }
  },
  { files: ['examples/**/*.cjs', 'test/**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } }
)
