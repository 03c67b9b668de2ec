export const RELEASES: string;
export function newestRelease(folder?: string): string | undefined;
export function writeDescriptor(file: string, root?: string): void;
export function breaking(descriptor: string, root?: string): string[];
