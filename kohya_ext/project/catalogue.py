"""Every error code with its title, usual cause and cure; docs/errors.md is made from this table.

Blocks: LL1xx project and command line; LL2xx pictures, dataset, captions; LL3xx training;
LL4xx WebUI and cells; LL5xx grids; LL6xx showcase and publishing; LL7xx doors into the hosts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One row of the catalogue; whole sentences."""

    title: str
    cause: str
    cure: str


CATALOGUE: dict[str, Entry] = {
    # -- LL1xx: project, files, command line ------------------------------------------------
    "LL101": Entry(
        "No LoRA project in this folder",
        "The folder has no lora-project.yaml.",
        "Name the project's folder, or make one with `loraloom init`.",
    ),
    "LL102": Entry(
        "The manifest is wrong",
        "lora-project.yaml has an unknown key, a wrong type or a value out of range.",
        "Correct the line that the message names.",
    ),
    "LL103": Entry(
        "A folder is missing",
        "The path does not exist or is no folder.",
        "Check the spelling of the path.",
    ),
    "LL104": Entry(
        "A folder or file cannot be read",
        "The operating system refused access.",
        "Check the permissions, and that no other program holds the file.",
    ),
    "LL105": Entry(
        "The trigger word is unusable",
        "It is empty, or has characters that a folder name or a prompt cannot hold.",
        "Choose a word of letters, digits and blanks, for example Quillfox.",
    ),
    "LL106": Entry(
        "There is a project already",
        "`init` found a lora-project.yaml in that folder.",
        "Choose another folder, or edit the manifest that is there.",
    ),
    "LL107": Entry(
        "The manifest is of a newer loraloom",
        "Its format number is higher than this version knows.",
        "Update loraloom: pip install --upgrade loraloom.",
    ),
    "LL108": Entry(
        "An unknown command",
        "The word after `loraloom` is no command of it or of a plugin.",
        "See `loraloom --help`.",
    ),
    "LL109": Entry(
        "A plugin cannot be loaded",
        "A package that adds a command to loraloom raised an error while it was imported.",
        "Update or remove the package that the message names.",
    ),
    "LL110": Entry(
        "The disk is full",
        "Writing stopped for lack of space; the file that was there before is unharmed.",
        "Free some space and run the same command again.",
    ),
    "LL111": Entry(
        "A file cannot be written",
        "The operating system refused it, for example because another program holds the file.",
        "Close the other program, or check the permissions, and run the command again.",
    ),
    "LL112": Entry(
        "A file is in the way",
        "The target exists and loraloom does not overwrite files of yours.",
        "Move the file away, or choose another name.",
    ),
    "LL113": Entry(
        "A real person without a recorded consent",
        "The manifest says that the subject is a person and records no consent.",
        "Record it under subject.consent: who agreed, on which day, and to what.",
    ),
    "LL114": Entry(
        "The settings file is damaged",
        "settings.json in loraloom's user folder is no JSON object.",
        "Correct it, or delete it and name the paths again.",
    ),
    "LL115": Entry(
        "The journal is damaged",
        "A line of journal.jsonl in the middle of the file is no JSON object.",
        "Restore the file from a backup, or delete the line that the message names.",
    ),
    "LL116": Entry(
        "A program cannot be started",
        "The file does not exist, is no program, or may not be run.",
        "Check the path that the message names.",
    ),
    "LL118": Entry(
        "A step of the demo did not leave what it should",
        "The demo looks at the result of every step, and one is not as it must be.",
        "This is a fault of loraloom: report it with the demo's output.",
    ),
    "LL119": Entry(
        "The rehearsal WebUI did not start",
        "The stand-in WebUI ended or did not say its address in time.",
        "See the file that the message names.",
    ),
    # -- LL13x: LoRA files --------------------------------------------------------------------
    "LL130": Entry(
        "No safetensors file",
        "The file is empty, shorter than its header says, or its header is no valid JSON.",
        "Copy or train the file again.",
    ),
    "LL131": Entry(
        "A safetensors file is cut short",
        "The header promises more bytes than the file holds, as after a full disk or a killed run.",
        "Delete the file and use another epoch, or train again.",
    ),
    "LL132": Entry(
        "A hostile or damaged safetensors header",
        "Header too large, offsets overlap, leave holes or lie outside the file, or wrong types.",
        "Do not use the file; get it again from where it came.",
    ),
    "LL133": Entry(
        "No epoch files",
        "The folder holds no LoRA file with training metadata.",
        "Train first, or name the folder that holds the .safetensors files.",
    ),
    # -- LL2xx: pictures, dataset, captions, tagging -----------------------------------------
    "LL201": Entry(
        "No pictures",
        "The folder, or the project's source/, holds no picture files.",
        "Name the folder with your pictures; png, jpg, jpeg, webp, bmp, gif and tiff are taken.",
    ),
    "LL202": Entry(
        "A broken picture",
        "The file is empty, cut short, too large, or no picture at all.",
        "Get it again, take it out of the folder, or import with --skip-broken.",
    ),
    "LL203": Entry(
        "A stem that repeats",
        "Two pictures differ only in suffix or folder, so they would share one caption file.",
        "Rename one of the two, or import with --rename.",
    ),
    "LL204": Entry(
        "Importing from inside the project",
        "The folder to import lies in the project itself.",
        "Import from the folder where you collect your pictures.",
    ),
    "LL205": Entry(
        "A role for an unknown picture",
        "The roles file names a picture that was not imported.",
        "Correct the name, or import the picture first.",
    ),
    "LL206": Entry(
        "A roles file that cannot be read",
        "A line is not `picture,role`, or the file is no UTF-8 text.",
        "Write lines such as: fox 01.png,primary",
    ),
    "LL207": Entry(
        "A foreign picture in images/",
        "A picture was put into images/ by hand; staging makes that folder anew.",
        "Move it out and import it.",
    ),
    "LL250": Entry(
        "No tagger in that folder",
        "The folder has no model.onnx.",
        "Download a WD14 tagger's model.onnx and selected_tags.csv into one folder.",
    ),
    "LL251": Entry(
        "A tag list that cannot be used",
        "selected_tags.csv is missing, or has no columns name and category.",
        "Download the tagger's folder again.",
    ),
    "LL252": Entry(
        "onnxruntime is not installed",
        "Tagging runs the model through onnxruntime, an optional package.",
        'Install it: python -m pip install "loraloom[tagger]"',
    ),
    "LL253": Entry(
        "No WD14 tagger",
        "The model's input or output has another shape, or it is no ONNX file.",
        "Use a model with the WD14 interface and its own selected_tags.csv.",
    ),
    "LL254": Entry(
        "A damaged caption edit",
        "A file in captions/ is no JSON object.",
        "Correct it, or delete it to go back to the rules.",
    ),
    "LL255": Entry(
        "Undesired tags that cannot be read",
        "The file named in captions.undesired_tags_file is missing or no UTF-8 text.",
        "Correct the path in the manifest.",
    ),
    "LL256": Entry(
        "Nothing is staged",
        "images/ holds no pictures that were staged.",
        "Run `loraloom stage` first.",
    ),
    "LL257": Entry(
        "A picture without scores and no tagger",
        "A picture is new, and no tagger was named to look at it.",
        "Name one: --model FOLDER, or captions.model in the manifest.",
    ),
    "LL258": Entry(
        "Forbidden content",
        "A picture that looks like a minor has signs of something sexual.",
        "Delete the picture. There is no switch for this rule.",
    ),
    "LL259": Entry(
        "A caption that cannot be read",
        "A caption file is no UTF-8 text.",
        "Save it as UTF-8, or delete it.",
    ),
    # -- LL3xx: training ----------------------------------------------------------------------
    "LL301": Entry(
        "No Kohya config",
        "The file cannot be read, is no JSON, or holds no JSON object.",
        "Name a config that the Kohya GUI saved.",
    ),
    "LL302": Entry(
        "A value that the Kohya GUI cannot hold",
        "A value has another type, is out of its field's range or none of its choices; the GUI "
        "would load it and then fail at every click of that session.",
        "Correct the value that the message names.",
    ),
    "LL303": Entry(
        "Learning rates that train nothing",
        "All learning rates are 0, or t5xxl_lr is set while text_encoder_lr is 0.",
        "Set learning_rate, unet_lr or text_encoder_lr.",
    ),
    "LL304": Entry(
        "A network or model family that is not driven",
        "loraloom does not make the arguments of this LoRA type or family.",
        "Train it from the Kohya GUI itself.",
    ),
    "LL305": Entry(
        "An argument that sd-scripts would misread",
        "Through a config file sd-scripts checks neither names nor types nor choices.",
        "Correct the value that the message names.",
    ),
    "LL306": Entry(
        "An unknown preset",
        "training.preset names none, or one of another base model family.",
        "See `loraloom presets`.",
    ),
    "LL307": Entry(
        "No base model",
        "The manifest names no checkpoint to train on.",
        "Write its file under base_model.path.",
    ),
    "LL308": Entry(
        "An unknown override",
        "training.overrides has a key that is no field of the Kohya GUI.",
        "Correct the name.",
    ),
    "LL309": Entry(
        "Nothing is staged to train on",
        "images/ holds no pictures that were staged.",
        "Run `loraloom stage` first.",
    ),
    # -- LL4xx: WebUI, lending, cells ---------------------------------------------------------
    "LL401": Entry(
        "No WebUI answers",
        "Nothing listens at that address, or the address is wrong.",
        "Start the WebUI with --api, wait until its window says that it runs.",
    ),
    "LL402": Entry(
        "The WebUI runs without its API",
        "It answers, but the routes of the API are not there.",
        "Start it with --api.",
    ),
    "LL403": Entry(
        "Wrong credentials",
        "The WebUI was started with --api-auth and refused user and password.",
        "Give the same ones: --auth user:password.",
    ),
    "LL404": Entry(
        "The WebUI does not answer in time",
        "It is busy, hangs, or the network is slow.",
        "See in its window whether it still works, then run the same command again.",
    ),
    "LL405": Entry(
        "The WebUI refused a request",
        "It answered with an error of its own; the message holds its words.",
        "Its own window says more.",
    ),
    "LL406": Entry(
        "That is no WebUI",
        "Another program answers at that address.",
        "Check address and port.",
    ),
    "LL407": Entry(
        "The GPU is out of memory",
        "The picture is too large for the memory that is free.",
        "Use a smaller size or batch, or close other programs that use the GPU.",
    ),
    "LL408": Entry(
        "An unknown checkpoint",
        "The WebUI has no checkpoint of that name; case counts. It would silently use another.",
        "Use a title of `loraloom webui`.",
    ),
    "LL409": Entry(
        "An unknown LoRA",
        "The WebUI has no LoRA file of that stem; case counts. It would silently draw without it.",
        "Lend the file first: `loraloom lend`.",
    ),
    "LL410": Entry(
        "An unknown sampler, scheduler or upscaler",
        "The WebUI would silently use its default.",
        "Use a name of `loraloom webui`.",
    ),
    "LL411": Entry(
        "No way to the WebUI's LoRA folder",
        "The WebUI runs on another machine, or its folder cannot be reached from here.",
        "Share its LoRA folder and name it: --lora-folder PATH.",
    ),
    "LL412": Entry(
        "The WebUI does not see a lent file",
        "The file was put into a folder that this WebUI does not read.",
        "Name the folder that it reads: --lora-folder PATH.",
    ),
    "LL413": Entry(
        "No WebUI is named",
        "The command needs to know where the WebUI is.",
        "Name it: --webui http://127.0.0.1:7860; it is remembered.",
    ),
    "LL414": Entry(
        "A LoRA weight that is no number",
        "The WebUI would silently draw without the LoRA.",
        "Write the weight as a number: <lora:Quillfox:0.8>.",
    ),
    "LL450": Entry(
        "The ledger cannot be used",
        "cells.db is damaged, or another program holds it.",
        "Close the other program, or move the file away.",
    ),
    "LL451": Entry(
        "An answer without a usable picture",
        "The WebUI answered 200, but with no picture, or with too many.",
        "An extension of the WebUI may be in the way.",
    ),
    "LL452": Entry(
        "Pictures failed",
        "An answer did not match its request, or none came; the message says which.",
        "Mend the cause and run the same command again: finished pictures are kept.",
    ),
    "LL453": Entry(
        "Stopped",
        "You stopped the run.",
        "Run the same command again to go on.",
    ),
    # -- LL5xx: grids -------------------------------------------------------------------------
    "LL501": Entry(
        "A cell too large for the file format",
        "JPEG ends at 65,535 pixels a side, WebP at 16,383, and one cell alone is larger.",
        "Write the contact sheet as PNG, or with smaller cells: --cell-pixels 1024.",
    ),
    "LL502": Entry(
        "A finished picture cannot be read",
        "A file in cells/ was damaged or taken away after it was drawn.",
        "Run the grid again; a cell whose picture is gone is drawn once more.",
    ),
    "LL503": Entry(
        "Too much for a single file",
        "The pictures are larger together than --single-file allows.",
        "Allow more, draw fewer cells, or send the grid's folder as it is.",
    ),
    "LL504": Entry(
        "A prompt without a place for the LoRA",
        "The grid's prompt has neither {lora} nor the tag of one of the epochs.",
        "Put {lora} where the tag belongs, for example: {lora} photo of {trigger}",
    ),
    "LL505": Entry(
        "No such axis",
        "The name before the = sign is no axis of the grid.",
        "Use a name of the X/Y/Z plot, for example CFG Scale=5,7.",
    ),
    "LL506": Entry(
        "An axis value that cannot be used",
        "The value is no number, range or size, or it is out of range.",
        "Write values as in the X/Y/Z plot: 1-10 (+3), 5,7, 512x768.",
    ),
    "LL507": Entry(
        "Prompt S/R found nothing",
        "The first value is not in the prompt or negative prompt, or only inside a longer name.",
        "The first value is the text to search for; write it as it stands in the prompt.",
    ),
    "LL508": Entry(
        "A skip rule that cannot be used",
        "It names an axis or a value that the grid does not have.",
        "Write it as NAME=VALUE & NAME=VALUE, with labels as the plan shows them.",
    ),
    "LL509": Entry(
        "No such epoch",
        "None of the epoch files answers to what --epochs says.",
        "See what there is: loraloom epochs.",
    ),
    "LL510": Entry(
        "No choice of this project",
        "The file holds no choice of a grid page, or one of another project or a lost epoch.",
        "Open the grid's page, choose an epoch and save the choice again.",
    ),
    "LL511": Entry(
        "One GPU for two",
        "`grid --follow` would draw on the GPU that trains.",
        "Use --at-end, a WebUI on another machine, or --same-gpu if there is memory for both.",
    ),
    "LL512": Entry(
        "A damaged grid.json",
        "The file that keeps a grid's seeds is no JSON.",
        "Delete it to draw new seeds; finished pictures stay in cells/.",
    ),
    "LL513": Entry(
        "A template that cannot be expanded",
        "It has a mistake, or names a wildcard that is not there.",
        "The message shows the place; `loraloom prompt` checks templates.",
    ),
    "LL514": Entry(
        "No grid to show",
        "`grid --serve` found no grid in the project.",
        "Draw one first: loraloom grid PROJECT",
    ),
    # -- LL6xx: showcase, selection, promotion, publishing ------------------------------------
    "LL601": Entry(
        "No such epoch to promote",
        "No epoch file answers to that number or name.",
        "Use a number of `loraloom epochs`, `last`, or the file's name.",
    ),
    "LL602": Entry(
        "A name that makes trouble in prompts",
        "It has blanks or other characters, two underscores, or ends like an epoch's number.",
        "Choose a simple one, for example Quillfox-v1.",
    ),
    "LL603": Entry(
        "A promoted file that is not as it should be",
        "What was read back differs from what was written; the file was removed again.",
        "Check the disk, and that no other program works on that folder.",
    ),
    "LL604": Entry(
        "Nothing is promoted yet",
        "The step needs the chosen epoch under its final name.",
        "Choose one in the grid, then: loraloom promote PROJECT EPOCH NAME",
    ),
    "LL605": Entry(
        "Another LoRA answers to that name",
        "The WebUI has a file or an alias of that name; it would use one of the two in silence.",
        "Choose another name, or move the other file away.",
    ),
    "LL606": Entry(
        "A LoRA without weights",
        "The file has a header and no tensors.",
        "Choose another epoch.",
    ),
    # -- LL7xx: doors into the hosts ------------------------------------------------------------
    "LL701": Entry(
        "No Kohya GUI in that folder",
        "The folder has no kohya_gui.py.",
        "Name the folder that gui.sh or gui.bat is in: loraloom kohya --dir FOLDER",
    ),
    "LL702": Entry(
        "The Kohya GUI's Python was not found",
        "The GUI's folder has neither venv nor .venv, or --python names no file.",
        "Run the GUI's own setup first, or name the Python that it uses: --python FILE",
    ),
    "LL703": Entry(
        "The Kohya GUI's Python gives no answer",
        "It does not start, or does not say where its packages are.",
        "Check that this Python runs, or name another one: --python FILE",
    ),
    "LL704": Entry(
        "The Kohya GUI's folder is unknown",
        "`loraloom kohya` was called without --dir for the first time.",
        "Name the folder once, it is remembered: loraloom kohya --dir FOLDER",
    ),
    "LL705": Entry(
        "The Kohya GUI ended with an error",
        "Its own program stopped; its messages stand above ours.",
        "Start it by its own gui.sh or gui.bat to see whether it runs without the tab.",
    ),
    "LL706": Entry(
        "gradio is not installed",
        "`loraloom gui` shows its page with gradio 6, an optional package.",
        'Install it: pip install "loraloom[gui]"',
    ),
    "LL707": Entry(
        "A step of this project is still going on",
        "The tab runs one step of a project at a time, from whichever browser window.",
        "Wait until it has finished, or stop it.",
    ),
    "LL708": Entry(
        "No folder is named",
        "A box for a folder is empty.",
        "Type the folder's path into it.",
    ),
    "LL751": Entry(
        "The prompt names no LoRA",
        "The script LoRA epoch grid compares the epochs of the LoRA in the prompt; there is none.",
        "Write one of the epoch files into the prompt, for example <lora:Quillfox-000004:1>.",
    ),
    "LL752": Entry(
        "The LoRA of the prompt has no file",
        "No file in the WebUI's LoRA folders has that name; capitals count.",
        "Correct the name in the prompt, or copy the epoch files into the LoRA folder.",
    ),
    "LL753": Entry(
        "The LoRA of the prompt has one epoch only",
        "No other file of the same training run is in the folder of that file.",
        "Put the run's other epoch files beside it.",
    ),
    "LL754": Entry(
        "More than one LoRA with epochs",
        "The prompt names several LoRAs whose epochs could be compared.",
        'Write the one to compare into the box "LoRA" of the script.',
    ),
    "LL755": Entry(
        "A folder that loraloom may not enter",
        "The path is in none of the folders that the WebUI's settings name.",
        "Add its folder in the WebUI's Settings, section loraloom.",
    ),
    "LL756": Entry(
        "The WebUI could not draw a picture",
        "The WebUI or one of its extensions raised an error while it drew.",
        "Read the WebUI's console; when the cause is mended, press Generate again.",
    ),
    "LL757": Entry(
        "A picture was skipped",
        "Skip was pressed while it was drawn, so it is not finished.",
        "Press Generate again: only the missing pictures are drawn.",
    ),
    "LL759": Entry(
        "Seeds that a grid cannot have",
        "There is no seed, there are too many, or one is out of range.",
        "Write whole numbers such as 5, 7, 10-12; -1 is a random one.",
    ),
    "LL760": Entry(
        "Hires. fix with a fixed size",
        '"Resize width to" or "Resize height to" is set; the grid knows "Upscale by" only.',
        'Set both to 0 and use "Upscale by".',
    ),
    "LL761": Entry(
        "A request that cannot be understood",
        "The body of POST /loraloom/v1/grids has an unknown field, a wrong type or a number out "
        "of range.",
        "Correct the field that the message names.",
    ),
    "LL762": Entry(
        "There is no such grid",
        "The number is wrong, or the WebUI was restarted since.",
        "See GET /loraloom/v1/grids, or start the grid again: finished pictures are kept.",
    ),
    "LL763": Entry(
        "A grid without a result",
        "It still waits or is being drawn, or it failed.",
        "Ask again when its state is done; when it failed, mend the cause and start it again.",
    ),
    "LL764": Entry(
        "A request that is no JSON object",
        "The body is empty, too long, or something else than JSON.",
        'Send a JSON object with the header "Content-Type: application/json".',
    ),
    "LL765": Entry(
        "A grid without that file",
        "The address names a file that is not part of the grid's result.",
        "Use the addresses in the grid's result.",
    ),
}
