// The types of install-node.mjs, for benchmarks.

export declare function installNode(version: string, folder: string): string
