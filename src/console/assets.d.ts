/** Style sheets are put into the bundle by Vite. */
declare module '*.css';
