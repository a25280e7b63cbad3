// Distances between float32 rows and a query: float32 sums for speed, double sums for the final word.
// One row at a time in four accumulators: four rows that share the loads of the query were slower, 0.88 times as fast
// in the caches and 0.63 times from memory (bench/README.md), where one stream of reads is what the processor foresees
// best. Order of summation (the scalar twin repeats it): float32 in accumulators a, b, c, d of four lanes over steps of
// 16 values, steps of 4 into a, (a + b) + (c + d), lanes as (0 + 1) + (2 + 3), then the last 0 to 3 values one by one.
// Double: eight lanes, in four accumulators of two, over steps of 8 values, a step of 4 into the first four, lane i
// joined with lane i + 4, then as above.

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
function sumDoubleLanes(a: v128, b: v128, c: v128, d: v128): f64 {
  const low = f64x2.add(a, c),
    high = f64x2.add(b, d)
  return (
    f64x2.extract_lane(low, 0) +
    f64x2.extract_lane(low, 1) +
    (f64x2.extract_lane(high, 0) + f64x2.extract_lane(high, 1))
  )
}

/** Two float32 values as double. */
@inline
function doubles(at: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load64_zero(at))
}

@inline
function squaredDoubles(sum: v128, row: usize, query: usize): v128 {
  const d = f64x2.sub(doubles(row), doubles(query))
  return f64x2.add(sum, f64x2.mul(d, d))
}

@inline
function productDoubles(sum: v128, row: usize, query: usize): v128 {
  return f64x2.add(sum, f64x2.mul(doubles(row), doubles(query)))
}

/** Squared Euclidean distance in double precision. */
export function l2Exact(row: usize, rowBytes: usize, query: usize): f64 {
  const steps = rowBytes & ~31
  let a = f64x2.splat(0),
    b = a,
    c = a,
    d = a
  let i: usize = 0
  for (; i < steps; i += 32) {
    a = squaredDoubles(a, row + i, query + i)
    b = squaredDoubles(b, row + i + 8, query + i + 8)
    c = squaredDoubles(c, row + i + 16, query + i + 16)
    d = squaredDoubles(d, row + i + 24, query + i + 24)
  }
  if (i < (rowBytes & ~15)) {
    a = squaredDoubles(a, row + i, query + i)
    b = squaredDoubles(b, row + i + 8, query + i + 8)
    i += 16
  }
  let sum = sumDoubleLanes(a, b, c, d)
  for (; i < rowBytes; i += 4) {
    const difference = <f64>load<f32>(row + i) - <f64>load<f32>(query + i)
    sum += difference * difference
  }
  return sum
}

/** Inner product in double precision. */
export function productExact(row: usize, rowBytes: usize, query: usize): f64 {
  const steps = rowBytes & ~31
  let a = f64x2.splat(0),
    b = a,
    c = a,
    d = a
  let i: usize = 0
  for (; i < steps; i += 32) {
    a = productDoubles(a, row + i, query + i)
    b = productDoubles(b, row + i + 8, query + i + 8)
    c = productDoubles(c, row + i + 16, query + i + 16)
    d = productDoubles(d, row + i + 24, query + i + 24)
  }
  if (i < (rowBytes & ~15)) {
    a = productDoubles(a, row + i, query + i)
    b = productDoubles(b, row + i + 8, query + i + 8)
    i += 16
  }
  let sum = sumDoubleLanes(a, b, c, d)
  for (; i < rowBytes; i += 4) sum += <f64>load<f32>(row + i) * <f64>load<f32>(query + i)
  return sum
}

/** 1 - cos in double precision, with one pass over the row; queryNorm2 is <q,q>. */
export function cosineExact(row: usize, rowBytes: usize, query: usize, queryNorm2: f64): f64 {
  const steps = rowBytes & ~31
  const bulk = rowBytes & ~15
  const zero = f64x2.splat(0)
  let a = zero,
    b = zero,
    c = zero,
    d = zero,
    norms = zero,
    normsB = zero,
    normsC = zero,
    normsD = zero
  let i: usize = 0
  for (; i < bulk; i += 32) {
    const x = doubles(row + i),
      y = doubles(row + i + 8)
    a = f64x2.add(a, f64x2.mul(x, doubles(query + i)))
    b = f64x2.add(b, f64x2.mul(y, doubles(query + i + 8)))
    norms = f64x2.add(norms, f64x2.mul(x, x))
    normsB = f64x2.add(normsB, f64x2.mul(y, y))
    if (i >= steps) {
      i += 16
      break
    }
    const z = doubles(row + i + 16),
      w = doubles(row + i + 24)
    c = f64x2.add(c, f64x2.mul(z, doubles(query + i + 16)))
    d = f64x2.add(d, f64x2.mul(w, doubles(query + i + 24)))
    normsC = f64x2.add(normsC, f64x2.mul(z, z))
    normsD = f64x2.add(normsD, f64x2.mul(w, w))
  }
  let product = sumDoubleLanes(a, b, c, d),
    norm2 = sumDoubleLanes(norms, normsB, normsC, normsD)
  for (; i < rowBytes; i += 4) {
    const x = <f64>load<f32>(row + i)
    product += x * <f64>load<f32>(query + i)
    norm2 += x * x
  }
  const distance = 1 - product / Math.sqrt(queryNorm2 * norm2)
  return distance > 0 ? distance : 0
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
