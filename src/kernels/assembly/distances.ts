// Distances between float32 rows and a query: float32 sums for speed, double sums for the final word.
// Order of summation (the scalar twin repeats it): float32 in two accumulators of four lanes over steps of 8 values, a step of 4
// into the first, lanes as (0 + 1) + (2 + 3), then the last 0 to 3 values one by one. Double: the same with one accumulator of four lanes.

// @ts-ignore: decorator
@inline
export function sumLanes(v: v128): f32 {
  return (f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1)) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
}

// @ts-ignore: decorator
@inline
function squaredStep(sum: v128, row: usize, q: v128): v128 {
  const d = f32x4.sub(v128.load(row), q)
  return f32x4.add(sum, f32x4.mul(d, d))
}

// @ts-ignore: decorator
@inline
function productStep(sum: v128, row: usize, q: v128): v128 {
  return f32x4.add(sum, f32x4.mul(v128.load(row), q))
}

// @ts-ignore: decorator
@inline
function squaredTail(sum: f32, row: usize, query: usize, end: usize): f32 {
  for (; query < end; query += 4, row += 4) {
    const d = load<f32>(row) - load<f32>(query)
    sum += d * d
  }
  return sum
}

// @ts-ignore: decorator
@inline
function productTail(sum: f32, row: usize, query: usize, end: usize): f32 {
  for (; query < end; query += 4, row += 4) sum += load<f32>(row) * load<f32>(query)
  return sum
}

/** Squared Euclidean distances of four rows, written to out[0..3]. Four rows share each load of the query. */
export function l2Four(row: usize, rowBytes: usize, query: usize, out: usize): void {
  const row1 = row + rowBytes, row2 = row1 + rowBytes, row3 = row2 + rowBytes
  const bulk = rowBytes & ~31
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), a2 = f32x4.splat(0), a3 = f32x4.splat(0)
  let b0 = f32x4.splat(0), b1 = f32x4.splat(0), b2 = f32x4.splat(0), b3 = f32x4.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 32) {
    const q0 = v128.load(query + i)
    a0 = squaredStep(a0, row + i, q0)
    a1 = squaredStep(a1, row1 + i, q0)
    a2 = squaredStep(a2, row2 + i, q0)
    a3 = squaredStep(a3, row3 + i, q0)
    const q1 = v128.load(query + i, 16)
    b0 = squaredStep(b0, row + i + 16, q1)
    b1 = squaredStep(b1, row1 + i + 16, q1)
    b2 = squaredStep(b2, row2 + i + 16, q1)
    b3 = squaredStep(b3, row3 + i + 16, q1)
  }
  if (rowBytes & 16) {
    const q = v128.load(query + i)
    a0 = squaredStep(a0, row + i, q)
    a1 = squaredStep(a1, row1 + i, q)
    a2 = squaredStep(a2, row2 + i, q)
    a3 = squaredStep(a3, row3 + i, q)
    i += 16
  }
  const end = query + rowBytes
  store<f32>(out, squaredTail(sumLanes(f32x4.add(a0, b0)), row + i, query + i, end))
  store<f32>(out, squaredTail(sumLanes(f32x4.add(a1, b1)), row1 + i, query + i, end), 4)
  store<f32>(out, squaredTail(sumLanes(f32x4.add(a2, b2)), row2 + i, query + i, end), 8)
  store<f32>(out, squaredTail(sumLanes(f32x4.add(a3, b3)), row3 + i, query + i, end), 12)
}

/** Squared Euclidean distance of one row. */
export function l2One(row: usize, rowBytes: usize, query: usize): f32 {
  const bulk = rowBytes & ~31
  let a = f32x4.splat(0), b = f32x4.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 32) {
    a = squaredStep(a, row + i, v128.load(query + i))
    b = squaredStep(b, row + i + 16, v128.load(query + i, 16))
  }
  if (rowBytes & 16) {
    a = squaredStep(a, row + i, v128.load(query + i))
    i += 16
  }
  return squaredTail(sumLanes(f32x4.add(a, b)), row + i, query + i, query + rowBytes)
}

/** Inner products of four rows, written to out[0..3]. */
export function productFour(row: usize, rowBytes: usize, query: usize, out: usize): void {
  const row1 = row + rowBytes, row2 = row1 + rowBytes, row3 = row2 + rowBytes
  const bulk = rowBytes & ~31
  let a0 = f32x4.splat(0), a1 = f32x4.splat(0), a2 = f32x4.splat(0), a3 = f32x4.splat(0)
  let b0 = f32x4.splat(0), b1 = f32x4.splat(0), b2 = f32x4.splat(0), b3 = f32x4.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 32) {
    const q0 = v128.load(query + i)
    a0 = productStep(a0, row + i, q0)
    a1 = productStep(a1, row1 + i, q0)
    a2 = productStep(a2, row2 + i, q0)
    a3 = productStep(a3, row3 + i, q0)
    const q1 = v128.load(query + i, 16)
    b0 = productStep(b0, row + i + 16, q1)
    b1 = productStep(b1, row1 + i + 16, q1)
    b2 = productStep(b2, row2 + i + 16, q1)
    b3 = productStep(b3, row3 + i + 16, q1)
  }
  if (rowBytes & 16) {
    const q = v128.load(query + i)
    a0 = productStep(a0, row + i, q)
    a1 = productStep(a1, row1 + i, q)
    a2 = productStep(a2, row2 + i, q)
    a3 = productStep(a3, row3 + i, q)
    i += 16
  }
  const end = query + rowBytes
  store<f32>(out, productTail(sumLanes(f32x4.add(a0, b0)), row + i, query + i, end))
  store<f32>(out, productTail(sumLanes(f32x4.add(a1, b1)), row1 + i, query + i, end), 4)
  store<f32>(out, productTail(sumLanes(f32x4.add(a2, b2)), row2 + i, query + i, end), 8)
  store<f32>(out, productTail(sumLanes(f32x4.add(a3, b3)), row3 + i, query + i, end), 12)
}

/** Inner product of one row. */
export function productOne(row: usize, rowBytes: usize, query: usize): f32 {
  const bulk = rowBytes & ~31
  let a = f32x4.splat(0), b = f32x4.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 32) {
    a = productStep(a, row + i, v128.load(query + i))
    b = productStep(b, row + i + 16, v128.load(query + i, 16))
  }
  if (rowBytes & 16) {
    a = productStep(a, row + i, v128.load(query + i))
    i += 16
  }
  return productTail(sumLanes(f32x4.add(a, b)), row + i, query + i, query + rowBytes)
}

// @ts-ignore: decorator
@inline
function widenLow(v: v128): v128 {
  return f64x2.promote_low_f32x4(v)
}

// @ts-ignore: decorator
@inline
function widenHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15))
}

// @ts-ignore: decorator
@inline
function sumDoubleLanes(low: v128, high: v128): f64 {
  return (f64x2.extract_lane(low, 0) + f64x2.extract_lane(low, 1)) + (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
}

/** Squared Euclidean distance in double precision. */
export function l2Exact(row: usize, rowBytes: usize, query: usize): f64 {
  const bulk = rowBytes & ~15
  let low = f64x2.splat(0), high = f64x2.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 16) {
    const x = v128.load(row + i), q = v128.load(query + i)
    const d0 = f64x2.sub(widenLow(x), widenLow(q)), d1 = f64x2.sub(widenHigh(x), widenHigh(q))
    low = f64x2.add(low, f64x2.mul(d0, d0))
    high = f64x2.add(high, f64x2.mul(d1, d1))
  }
  let sum = sumDoubleLanes(low, high)
  for (; i < rowBytes; i += 4) {
    const d = <f64>load<f32>(row + i) - <f64>load<f32>(query + i)
    sum += d * d
  }
  return sum
}

/** Inner product in double precision. */
export function productExact(row: usize, rowBytes: usize, query: usize): f64 {
  const bulk = rowBytes & ~15
  let low = f64x2.splat(0), high = f64x2.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 16) {
    const x = v128.load(row + i), q = v128.load(query + i)
    low = f64x2.add(low, f64x2.mul(widenLow(x), widenLow(q)))
    high = f64x2.add(high, f64x2.mul(widenHigh(x), widenHigh(q)))
  }
  let sum = sumDoubleLanes(low, high)
  for (; i < rowBytes; i += 4) sum += <f64>load<f32>(row + i) * <f64>load<f32>(query + i)
  return sum
}

/** Writes the squared Euclidean distance of each of `count` rows to the query: out is float32, count. */
export function l2Distances(rows: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = <usize>dim << 2
  const fours = count & ~3
  let i: u32 = 0
  for (; i < fours; i += 4, rows += rowBytes << 2, out += 16) l2Four(rows, rowBytes, query, out)
  for (; i < count; i++, rows += rowBytes, out += 4) store<f32>(out, l2One(rows, rowBytes, query))
}

/** Writes the inner product of each of `count` rows with the query: out is float32, count. */
export function innerProducts(rows: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = <usize>dim << 2
  const fours = count & ~3
  let i: u32 = 0
  for (; i < fours; i += 4, rows += rowBytes << 2, out += 16) productFour(rows, rowBytes, query, out)
  for (; i < count; i++, rows += rowBytes, out += 4) store<f32>(out, productOne(rows, rowBytes, query))
}

/** Writes the squared norm of each of `count` rows in double precision: out is float64, count. */
export function squaredNorms(rows: usize, count: u32, dim: u32, out: usize): void {
  const rowBytes = <usize>dim << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, out += 8) store<f64>(out, productExact(rows, rowBytes, rows))
}
