// Where a task writes what it leaves.

/** The folder that becomes the artifact once the task is done. */
export interface ArtifactFolder {
  readonly folder: string
  /** What is written outlasts a failure of power. */
  readonly isDurable: boolean
}
