// Width and quotes of all sources; `npm run format` writes them, `npm test` compares.
export default {
  printWidth: 120,
  semi: false,
  singleQuote: true,
  trailingComma: 'none',
  objectWrap: 'preserve',
  embeddedLanguageFormatting: 'off'
}
