// Writes docs/cli.md from what the command says of itself. Run by `npm run docs`, after a build.

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const root = new URL('..', import.meta.url)
const help = (...words) =>
  execFileSync(process.execPath, ['dist/zgq.js', ...words, '--help'], { cwd: root, encoding: 'utf8' }).trimEnd()
const block = (text) => `\`\`\`\n${text}\n\`\`\`\n`
const overview = help()
const commands = overview
  .slice(overview.indexOf('\nCommands\n'))
  .split('\n\n', 1)[0]
  .matchAll(/^ {2}(\w+) /gm)

const sections = Array.from(commands, ([, name]) => `\n## zgq ${name}\n\n${block(help(name))}`)
const to = process.argv[2] ?? new URL('docs/cli.md', root)
writeFileSync(to, `# The zgq command\n\n${block(overview)}${sections.join('')}`)
