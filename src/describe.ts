// Says in a message what was found where something else was expected: short, on one line, whatever the value is.

const MOST_CHARACTERS = 80

/**
 * Describes a value for people: strings are quoted and shortened, arrays and objects are named and counted, never
 * printed.
 */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'bigint':
      return `the bigint ${shorten(value.toString())}`
    case 'symbol':
      return 'a symbol'
    case 'function':
      return value.name === '' ? 'a function' : `the function ${shorten(value.name)}`
    case 'object':
      return value === null ? 'null' : describeObject(value)
    default:
      return String(value)
  }
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of ${countOf(value.length, 'value')}`
  // The built-in name: it does not depend on the realm that the object was made in.
  const name = shorten(Object.prototype.toString.call(value).slice('[object '.length, -1))
  const named = name === 'Object' ? 'an object' : `${/^[AEIO]/.test(name) ? 'an' : 'a'} ${name}`
  return ArrayBuffer.isView(value) && 'length' in value
    ? `${named} of ${countOf(Number(value.length), 'value')}`
    : named
}

/** A count with its noun: `1 zone`, `2,000 queries`. */
export function countOf(count: number, noun: string): string {
  return `${formatCount(count)} ${count === 1 ? noun : pluralOf(noun)}`
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

function pluralOf(noun: string): string {
  return noun.endsWith('y') ? `${noun.slice(0, -1)}ies` : `${noun}s`
}

/** JSON's quotes also keep line ends and control characters out of the message. */
function quote(text: string): string {
  return text.length > MOST_CHARACTERS
    ? `${JSON.stringify(text.slice(0, MOST_CHARACTERS))}... (${text.length} characters)`
    : JSON.stringify(text)
}

function shorten(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}...` : text
}
