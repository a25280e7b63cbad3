// Compares what a search found with brute force.

import { expect } from 'vitest'

import type { Hit, Id } from '../../src/types.ts'
import { bruteForce, type Problem } from './brute-force.ts'

/** Distances agree to 1e-9 relative or 1e-12 absolute, whatever the order of summation. */
export function isSameDistance(found: number, expected: number): boolean {
  return Math.abs(found - expected) <= Math.max(1e-12, 1e-9 * Math.abs(expected))
}

/** Expects the k nearest of `problem`, with the same ids in the same order. */
export function expectNearest(found: readonly Hit[], problem: Problem, k: number): void {
  expectSameHits(found, bruteForce(problem).slice(0, k))
}

/** Expects the same ids in the same order, and distances that agree. */
export function expectSameHits(found: readonly Hit<Id>[], expected: readonly Hit<Id>[]): void {
  expect(found.map((hit) => hit.id)).toEqual(expected.map((hit) => hit.id))
  const differing = found.filter((hit, i) => !isSameDistance(hit.distance, expected[i].distance))
  expect(differing).toEqual([])
}
