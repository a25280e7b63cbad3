// zgq publish INDEX s3://BUCKET/PREFIX: an index in a bucket, as the next generation after those that are there.

import { countOf } from '../src/describe.ts'
import { publishIndex, type PublishReport } from '../src/publish.ts'
import { flag, text } from './arguments.ts'
import { INDEX, JSON_OPTION, type Command, type CommandArguments } from './command.ts'
import { interruptible } from './interrupt.ts'
import { formatBytes, print, printJson } from './output.ts'
import { ProgressLine } from './progress.ts'

export const PUBLISH: Command = {
  name: 'publish',
  summary: 'put an index into a bucket, from where others search it',
  positionals: [
    { ...INDEX, library: 'index' },
    { name: 'TO', about: 's3://BUCKET or s3://BUCKET/PREFIX', library: 'to' }
  ],
  options: {
    endpoint: { value: 'URL', about: 'address of a store other than AWS, such as https://minio.example.org' },
    region: { value: 'REGION', about: 'region of the bucket (default: that of AWS_REGION or the profile)' },
    json: JSON_OPTION
  },
  notes:
    'Only what is not there yet is sent; readers see the new index once all of it is there. Stopped at any moment, or\n' +
    'beside other publishers, it leaves a whole index. Needs the package @aws-sdk/client-s3 (npm install\n' +
    '@aws-sdk/client-s3), and credentials where the AWS command looks for them: AWS_ACCESS_KEY_ID and\n' +
    'AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.',
  examples: [
    'zgq publish docs.zgq s3://my-bucket/docs',
    'zgq publish docs.zgq s3://my-bucket/docs --endpoint https://minio.example.org --region us-east-1'
  ],
  run: runPublish
}

async function runPublish({ positionals: [index, to], given }: CommandArguments): Promise<void> {
  const progress = new ProgressLine()
  try {
    const report = await interruptible(
      (signal) =>
        publishIndex({
          index,
          to,
          endpoint: text(given, 'endpoint'),
          region: text(given, 'region'),
          signal,
          onProgress: (state) => {
            progress.show(state)
          }
        }),
      () => {
        progress.end()
        return 'interrupted; readers see what was there before, and repeating goes on with what is missing'
      }
    )
    progress.finish()
    if (flag(given, 'json')) printJson({ index, to, ...report })
    else print(describeReport(to, report))
  } finally {
    progress.end()
  }
}

function describeReport(to: string, { manifest, isNew, uploaded, reused, bytes, digest }: PublishReport): string {
  if (!isNew) return `${to} has this index already, as manifest ${manifest}: nothing was published`
  return (
    `published to ${to} as manifest ${manifest}: ${countOf(uploaded, 'part')} uploaded, ${reused} there already, ` +
    `${formatBytes(bytes)} sent; digest ${digest}`
  )
}
