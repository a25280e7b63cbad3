// Points on the plane of their principal axes: data whose axes are known.

import { describe, expect, it } from 'vitest'

import { projectOnPrincipalAxes, type Plane } from '../tools/principal-axes.ts'
import { normal } from './support/datasets.ts'
import { randomFrom } from './support/random.ts'

const points = (rows: readonly (readonly number[])[]): Float32Array[] => rows.map((row) => Float32Array.from(row))
const rounded = (values: Float64Array): number[] => Array.from(values, (value) => Math.round(value * 1e6) / 1e6 + 0)
const shares = ({ shares: [x, y] }: Plane): number[] => [x, y].map((share) => Math.round(share * 1e9) / 1e9)

describe('the principal axes', () => {
  it('of a cross are its arms, the longer first', () => {
    const plane = projectOnPrincipalAxes(
      points([
        [5, 1, 7],
        [5, 9, 7],
        [3, 5, 7],
        [7, 5, 7]
      ])
    )
    expect(rounded(plane.x)).toEqual([-4, 4, 0, 0])
    expect(rounded(plane.y)).toEqual([0, 0, -2, 2])
    expect(shares(plane)).toEqual([0.8, 0.2])
  })

  it('of a cross that is turned are still its arms', () => {
    const plane = projectOnPrincipalAxes(
      points([
        [3, 4],
        [-3, -4],
        [-4, 3],
        [4, -3],
        [6, 8],
        [-6, -8]
      ])
    )
    expect(rounded(plane.x)).toEqual([5, -5, 0, 0, 10, -10])
    expect(rounded(plane.y)).toEqual([0, 0, -5, 5, 0, 0])
  })

  it('keep all distances of points that lie on a plane, far from the origin too', () => {
    const random = randomFrom(3)
    const flat = Array.from({ length: 40 }, () => [normal(random), normal(random)])
    const lifted = points(flat.map(([a, b]) => [4096 + a, 4096 + b / Math.SQRT2, b / Math.SQRT2, 4096]))
    const plane = projectOnPrincipalAxes(lifted)
    for (let i = 1; i < 40; i++) {
      const onPlane = Math.hypot(plane.x[i] - plane.x[0], plane.y[i] - plane.y[0])
      expect(onPlane).toBeCloseTo(Math.hypot(...lifted[i].map((value, j) => value - lifted[0][j])), 6)
    }
    expect(plane.shares[0] + plane.shares[1]).toBeCloseTo(1, 7)
  })

  it('hold the shares of the variance that the data was made with', () => {
    const random = randomFrom(4)
    const deviations = [5, 3, 1, 1, 1, 0.5, 0.5, 0.2]
    const total = deviations.reduce((sum, value) => sum + value * value, 0)
    const {
      shares: [x, y]
    } = projectOnPrincipalAxes(
      Array.from({ length: 20_000 }, () => Float32Array.from(deviations, (value) => value * normal(random)))
    )
    expect(Math.abs(x - 25 / total)).toBeLessThan(0.01)
    expect(Math.abs(y - 9 / total)).toBeLessThan(0.01)
  })

  it('are found from a part of the points where there are very many values, and hold for all of them', () => {
    const random = randomFrom(5)
    const many = Array.from({ length: 3000 }, () =>
      Float32Array.from({ length: 3000 }, (_, j) => (j === 17 ? 200 : j === 23 ? 100 : 1) * normal(random))
    )
    const plane = projectOnPrincipalAxes(many)
    const along = (values: Float64Array, j: number): number =>
      Math.abs(values.reduce((sum, value, i) => sum + value * many[i][j], 0)) /
      Math.sqrt(
        values.reduce((sum, value) => sum + value * value, 0) * many.reduce((sum, point) => sum + point[j] ** 2, 0)
      )
    expect([along(plane.x, 17), along(plane.y, 23)].every((cosine) => cosine > 0.99)).toBe(true)
  })

  it('do not depend on the sign in which they are found', () => {
    const rows = [
      [1, 2, 3],
      [4, 1, 0],
      [2, 2, 9],
      [7, 7, 7],
      [0, 3, 1]
    ]
    const plane = projectOnPrincipalAxes(points(rows))
    const mirrored = projectOnPrincipalAxes(points(rows.map((row) => row.map((value) => -value))))
    expect(rounded(mirrored.x)).toEqual(rounded(plane.x).map((value) => -value + 0))
    expect(projectOnPrincipalAxes(points(rows))).toEqual(plane)
  })

  it.each<readonly [string, number[][], number[], number[], number[]]>([
    ['no point', [], [], [], [0, 0]],
    ['one point', [[3, 4]], [0], [0], [0, 0]],
    [
      'equal points',
      [
        [3, 4],
        [3, 4]
      ],
      [0, 0],
      [0, 0],
      [0, 0]
    ],
    [
      'points on a line',
      [
        [0, 0, 0],
        [1, 2, 2],
        [2, 4, 4]
      ],
      [-3, 0, 3],
      [0, 0, 0],
      [1, 0]
    ],
    ['points of one dimension', [[1], [3]], [-1, 1], [0, 0], [1, 0]],
    [
      'huge values',
      [
        [-3e38, 0],
        [3e38, 0]
      ],
      [-3e38, 3e38],
      [0, 0],
      [1, 0]
    ]
  ])('exist for %s', (_, rows, x, y, share) => {
    const plane = projectOnPrincipalAxes(points(rows))
    const close = (values: number[]): unknown[] =>
      values.map((value) => expect.closeTo(value, value === 0 ? 9 : 6 - Math.ceil(Math.log10(Math.abs(value) + 1))))
    expect([Array.from(plane.x), Array.from(plane.y)]).toEqual([close(x), close(y)])
    expect(shares(plane)).toEqual(share)
  })
})
