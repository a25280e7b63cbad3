// Adds rows at a steady rate from a process of its own.

import { stepInput, stepResult } from './child.ts'
import { findLiving } from './engines/living.ts'
import { metricOf } from './living-rows.ts'
import { streamRows, writeSteadily, type StreamWriterInput } from './steady-writes.ts'

const input = stepInput<StreamWriterInput>()
const { dim, folder } = input
const vectors = await streamRows(input)
const open = await findLiving('zgq').open({ folder, dim, metric: metricOf(dim), hasTags: false, autoOptimize: false })
stepResult(await writeSteadily(open, vectors, input))
await open.close()
