startTheme();
startLeading();
startBriefs();
startViewer();
startGraph();
