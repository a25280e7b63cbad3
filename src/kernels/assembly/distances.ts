// Distances between float32 rows and a query: float32 sums for speed, double sums for the final word.
// One row at a time in four accumulators: four rows that share the loads of the query were slower, 0.88 times as fast
// in the caches and 0.63 times from memory (bench/README.md), where one stream of reads is what the processor foresees
// best. Order of summation (the scalar twin repeats it): float32 in accumulators a, b, c, d of four lanes over steps of
// 16 values, steps of 4 into a, (a + b) + (c + d), lanes as (0 + 1) + (2 + 3), then the last 0 to 3 values one by one.
// Double: the same with one accumulator of four lanes.

@inline
export function sumLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
}

@inline
function squaredStep(sum: v128, row: usize, query: usize): v128 {
  const d = f32x4.sub(v128.load(row), v128.load(query))
  return f32x4.add(sum, f32x4.mul(d, d))
}

@inline
function productStep(sum: v128, row: usize, query: usize): v128 {
  return f32x4.add(sum, f32x4.mul(v128.load(row), v128.load(query)))
}

/** Squared Euclidean distance of one row in float32. */
@inline
export function l2One(row: usize, rowBytes: usize, query: usize): f32 {
  const steps = rowBytes & ~63
  const bulk = rowBytes & ~15
  let a = f32x4.splat(0),
    b = a,
    c = a,
    d = a
  let i: usize = 0
  for (; i < steps; i += 64) {
    a = squaredStep(a, row + i, query + i)
    b = squaredStep(b, row + i + 16, query + i + 16)
    c = squaredStep(c, row + i + 32, query + i + 32)
    d = squaredStep(d, row + i + 48, query + i + 48)
  }
  for (; i < bulk; i += 16) a = squaredStep(a, row + i, query + i)
  let sum = sumLanes(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)))
  for (; i < rowBytes; i += 4) {
    const difference = load<f32>(row + i) - load<f32>(query + i)
    sum += difference * difference
  }
  return sum
}

/** Inner product of one row in float32. */
@inline
export function productOne(row: usize, rowBytes: usize, query: usize): f32 {
  const steps = rowBytes & ~63
  const bulk = rowBytes & ~15
  let a = f32x4.splat(0),
    b = a,
    c = a,
    d = a
  let i: usize = 0
  for (; i < steps; i += 64) {
    a = productStep(a, row + i, query + i)
    b = productStep(b, row + i + 16, query + i + 16)
    c = productStep(c, row + i + 32, query + i + 32)
    d = productStep(d, row + i + 48, query + i + 48)
  }
  for (; i < bulk; i += 16) a = productStep(a, row + i, query + i)
  let sum = sumLanes(f32x4.add(f32x4.add(a, b), f32x4.add(c, d)))
  for (; i < rowBytes; i += 4) sum += load<f32>(row + i) * load<f32>(query + i)
  return sum
}

@inline
function widenLow(v: v128): v128 {
  return f64x2.promote_low_f32x4(v)
}

@inline
function widenHigh(v: v128): v128 {
  return f64x2.promote_low_f32x4(i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15))
}

@inline
function sumDoubleLanes(low: v128, high: v128): f64 {
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  )
}

/** Squared Euclidean distance in double precision. */
export function l2Exact(row: usize, rowBytes: usize, query: usize): f64 {
  const bulk = rowBytes & ~15
  let low = f64x2.splat(0),
    high = f64x2.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 16) {
    const x = v128.load(row + i),
      q = v128.load(query + i)
    const d0 = f64x2.sub(widenLow(x), widenLow(q)),
      d1 = f64x2.sub(widenHigh(x), widenHigh(q))
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
  let low = f64x2.splat(0),
    high = f64x2.splat(0)
  let i: usize = 0
  for (; i < bulk; i += 16) {
    const x = v128.load(row + i),
      q = v128.load(query + i)
    low = f64x2.add(low, f64x2.mul(widenLow(x), widenLow(q)))
    high = f64x2.add(high, f64x2.mul(widenHigh(x), widenHigh(q)))
  }
  let sum = sumDoubleLanes(low, high)
  for (; i < rowBytes; i += 4) sum += <f64>load<f32>(row + i) * <f64>load<f32>(query + i)
  return sum
}

/** Writes the squared Euclidean distance of each of `count` rows to the query: out is float32, count. */
export function l2Distances(rows: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, out += 4) store<f32>(out, l2One(rows, rowBytes, query))
}

/** Writes the inner product of each of `count` rows with the query: out is float32, count. */
export function innerProducts(rows: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, out += 4) store<f32>(out, productOne(rows, rowBytes, query))
}

/** Writes the squared distances of the rows at `count` positions (u32): out is float32, count. */
export function l2DistancesAt(rows: usize, positions: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, positions += 4, out += 4)
    store<f32>(out, l2One(rows + <usize>load<u32>(positions) * rowBytes, rowBytes, query))
}

/** Writes the inner products of the rows at `count` positions (u32): out is float32, count. */
export function innerProductsAt(rows: usize, positions: usize, count: u32, dim: u32, query: usize, out: usize): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, positions += 4, out += 4)
    store<f32>(out, productOne(rows + <usize>load<u32>(positions) * rowBytes, rowBytes, query))
}

/** Writes the squared norm of each of `count` rows in double precision: out is float64, count. */
export function squaredNorms(rows: usize, count: u32, dim: u32, out: usize): void {
  const rowBytes = (<usize>dim) << 2
  for (let i: u32 = 0; i < count; i++, rows += rowBytes, out += 8) store<f64>(out, productExact(rows, rowBytes, rows))
}
