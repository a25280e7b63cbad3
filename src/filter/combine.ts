// And, or and not of predicates, in normal form: flat, sorted, without repetitions, constants folded. Ranges of one
// field that must hold together become one range; not those of lists, where each may hold for another element.

import { inNumbers, inStrings, intersectRanges } from './conditions.ts'
import { ALL, NONE, type Combination, type Predicate } from './predicate.ts'

export function allOf(predicates: readonly Predicate[]): Predicate {
  if (predicates.length === 1) return predicates[0]
  const merged = new Map<string, Predicate>()
  for (const part of flatten('and', predicates)) {
    const name = rangeName(part)
    const before = merged.get(name)
    merged.set(name, before === undefined ? part : intersect(before, part))
  }
  const parts = [...merged.values()].filter((part) => part !== ALL)
  return parts.includes(NONE) ? NONE : combine('and', parts)
}

export function anyOf(predicates: readonly Predicate[]): Predicate {
  if (predicates.length === 1) return predicates[0]
  const parts = flatten('or', predicates).filter((part) => part !== NONE)
  return parts.includes(ALL) ? ALL : combine('or', parts)
}

export function not(predicate: Predicate): Predicate {
  if (predicate === ALL) return NONE
  if (predicate === NONE) return ALL
  return predicate.kind === 'not' ? predicate.part : { kind: 'not', part: predicate, key: `!${predicate.key}` }
}

function flatten(kind: Combination['kind'], predicates: readonly Predicate[]): Predicate[] {
  return predicates.flatMap((part) => ('parts' in part && part.kind === kind ? part.parts : part))
}

/** Equal for ranges that intersect to one range; the key of anything else. */
function rangeName(predicate: Predicate): string {
  const isRange = predicate.kind === 'numbers' || (predicate.kind === 'strings' && !predicate.isList)
  return isRange ? `range of ${predicate.field}` : predicate.key
}

/** Intersects two predicates with one range name. */
function intersect(left: Predicate, right: Predicate): Predicate {
  if (left.kind === 'numbers' && right.kind === 'numbers')
    return inNumbers(left.field, Math.max(left.low, right.low), Math.min(left.high, right.high))
  if (left.kind === 'strings' && right.kind === 'strings' && !left.isList)
    return inStrings({ number: left.field, isList: false }, intersectRanges(left.range, right.range))
  // What is empty stays so, and other predicates with one key are one.
  return left
}

function combine(kind: Combination['kind'], predicates: readonly Predicate[]): Predicate {
  const byKey = new Map(predicates.map((part) => [part.key, part]))
  if (byKey.size === 0) return kind === 'and' ? ALL : NONE
  // By code units: any order will do, as long as it is one.
  const keys = [...byKey.keys()].sort()
  const parts = keys.flatMap((key) => byKey.get(key) ?? [])
  if (parts.length === 1) return parts[0]
  return { kind, parts, key: `${kind === 'and' ? '&' : '|'}(${keys.join(' ')})` }
}
