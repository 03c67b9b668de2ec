export function versions(root?: string): { file: string; version: string }[];
export function setVersion(version: string, root?: string): string[];
export function changesOf(version: string, changelog: string): string;
export function isNewer(a: string, b: string): boolean;
