// Summarises a finished build: what the index holds, what it took, what to do next.

import type { BuildReport } from '../src/build.ts'
import { countOf, formatCount } from '../src/describe.ts'
import { ZgqIndex } from '../src/index.ts'
import { formatBytes, formatDuration, formatRecall, shellWord } from './output.ts'
import type { StageTime } from './progress.ts'

export interface BuildCost {
  readonly elapsedMs: number
  readonly peakRssBytes: number
  readonly stages: readonly StageTime[]
}

/** Opens the index for what the report does not say: its calibration. */
export function describeBuild(report: BuildReport, cost: BuildCost): string {
  const { path, count, dim, metric, zones, bits, bytes } = report
  const { elapsedMs, peakRssBytes, stages } = cost
  const facts = [
    ['vectors', `${countOf(count, 'vector')} of ${countOf(dim, 'dimension')}, ${metric}`],
    ['zones', `${formatCount(zones)}, ${countOf(Math.round(count / zones), 'row')} each in the mean`],
    [
      'size',
      `${formatBytes(bytes)}, ` +
        `${bits === 0 ? 'no codes' : `codes of ${bits} ${bits === 1 ? 'bit' : 'bits'} a dimension`}`
    ],
    ['recall', describeRecall(path)],
    ...report.warnings.map((warning) => ['warning', warning]),
    [
      'time',
      `${formatDuration(elapsedMs)}, ${formatCount(Math.round((count / Math.max(1, elapsedMs)) * 1000))} vectors/s`
    ],
    ['stages', stages.map((stage) => `${stage.stage} ${formatDuration(stage.elapsedMs)}`).join(', ')],
    ['memory', `${formatBytes(peakRssBytes)} at most`],
    ['next', `zgq search ${shellWord(path)} QUERIES`],
    ['', `zgq inspect ${shellWord(path)} --html ${shellWord(`${path.replace(/\/+$/, '')}.html`)}`]
  ]
  return `built ${path}\n${facts.map(([name, value]) => `  ${name.padEnd(8)} ${value}`).join('\n')}`
}

function describeRecall(path: string): string {
  const index = ZgqIndex.open(path)
  try {
    const { calibration, plan } = index.info()
    if (plan.kind === 'exact') return `exact: ${plan.reason}`
    if (calibration === null) return 'not calibrated'
    const by = calibration.source === 'base' ? 'rows of the index' : 'queries that were given'
    return `calibrated up to ${formatRecall(calibration.highestRecall)} by ${formatCount(calibration.queries)} ${by}`
  } finally {
    index.close()
  }
}
